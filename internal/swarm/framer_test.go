package swarm

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
)

// seen is a sink that writes down what it is told.
type seen struct {
	shook  string
	frames []string
	bytes  int
}

func (s *seen) handshake(h []byte)           { s.shook = string(h) }
func (s *seen) frame(kind byte, body []byte) { s.frames = append(s.frames, string(kind)+string(body)) }
func (s *seen) payload(n int)                { s.bytes += n }

func frame(kind byte, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)))
	return append(append(b, kind), body...)
}

var keepAlive = []byte{0, 0, 0, 0}

// stream is a conversation with a frame of each sort.
func stream() []byte {
	return bytes.Join([][]byte{
		[]byte(strings.Repeat("h", handshakeLen)),
		frame(20, "extension handshake"),
		frame(frameHaveAll, ""),
		keepAlive,
		frame(frameBitfield, "\xff\x80"),
		frame(framePiece, "iiiioooo"+strings.Repeat("x", 100)),
		frame(frameHave, "\x00\x00\x00\x07"),
		frame(framePiece, "short"),
		frame(1, ""),
	}, nil)
}

func TestFramerSeesTheSameHoweverTheStreamIsCut(t *testing.T) {
	whole := stream()
	for cut := 1; cut <= len(whole); cut++ {
		var f framer
		var s seen
		for b := whole; len(b) > 0; {
			n := min(cut, len(b))
			f.feed(b[:n], &s)
			b = b[n:]
		}
		want := []string{"\x0e", "\x05\xff\x80", "\x04\x00\x00\x00\x07"}
		if s.shook != strings.Repeat("h", handshakeLen) || !reflect.DeepEqual(s.frames, want) || s.bytes != 100 {
			t.Fatalf("in cuts of %d: %q, %d payload bytes", cut, s.frames, s.bytes)
		}
		if !f.atBoundary() {
			t.Fatalf("in cuts of %d: not at a boundary at the end", cut)
		}
	}
}

func TestHideHaves(t *testing.T) {
	ext, have := frame(20, "e"), frame(frameHave, "\x00\x00\x00\x07")
	for name, c := range map[string]struct {
		in, want []byte
		found    bool
	}{
		"nothing":         {nil, nil, false},
		"other frames":    {append(ext, have...), append(ext, have...), false},
		"have all":        {bytes.Join([][]byte{ext, frame(frameHaveAll, ""), have}, nil), bytes.Join([][]byte{ext, frame(frameHaveNone, ""), have}, nil), true},
		"bitfield":        {bytes.Join([][]byte{ext, keepAlive, frame(frameBitfield, "\xff"), have}, nil), bytes.Join([][]byte{ext, keepAlive, have}, nil), true},
		"cut off":         {frame(frameBitfield, "\xff\xff")[:6], frame(frameBitfield, "\xff\xff")[:6], false},
		"impossible size": {[]byte("\xff\xff\xff\xff\x05"), []byte("\xff\xff\xff\xff\x05"), false},
	} {
		in := bytes.Clone(c.in)
		got, found := hideHaves(c.in)
		if !bytes.Equal(got, c.want) || found != c.found {
			t.Errorf("%s: %q, %t; want %q, %t", name, got, found, c.want, c.found)
		}
		if !bytes.Equal(in, c.in) {
			t.Errorf("%s: the caller's bytes changed", name)
		}
	}
}

func FuzzFramer(f *testing.F) {
	f.Add(stream(), uint8(3))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		var one, cutUp framer
		var a, c seen
		one.feed(b, &a)
		for rest := b; len(rest) > 0; {
			n := min(int(cut)%9+1, len(rest))
			cutUp.feed(rest[:n], &c)
			rest = rest[n:]
		}
		if !reflect.DeepEqual(a, c) || one.atBoundary() != cutUp.atBoundary() {
			t.Errorf("whole %+v, cut %+v", a, c)
		}
		if a.bytes > len(b) || len(one.body) > maxCapture {
			t.Errorf("%d payload bytes and a body of %d out of %d", a.bytes, len(one.body), len(b))
		}
		hideHaves(b)
	})
}
