package swarm

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// oddTorrent ends with a block of 100 bytes, the second one of piece 2.
var oddTorrent = Torrent{Size: 2*65536 + standardBlock + 100, PieceLength: 65536, Pieces: 3}

func blockFrame(kind byte, piece, begin, length uint32) []byte {
	body := binary.BigEndian.AppendUint32(nil, piece)
	body = binary.BigEndian.AppendUint32(body, begin)
	return frame(kind, string(binary.BigEndian.AppendUint32(body, length)))
}

func wholePieceFrame(piece, begin uint32, payload string) []byte {
	body := binary.BigEndian.AppendUint32(nil, piece)
	return frame(framePiece, string(binary.BigEndian.AppendUint32(body, begin))+payload)
}

// run feeds frames in cuts of a size to one direction of a new connection.
func (e *frameEditor) run(cut int, frames ...[]byte) []byte {
	var got []byte
	e.shook = true
	for b := bytes.Join(frames, nil); len(b) > 0; {
		n := min(cut, len(b))
		got = e.feed(got, b[:n])
		b = b[n:]
	}
	return got
}

func paddedForTest() *paddedConn {
	p := newPaddedConn(nil, nil)
	last := newLastBlock(oddTorrent)
	p.last.Store(&last)
	return p
}

func TestNeighbourThatPadsTheLastBlock(t *testing.T) {
	const begin = standardBlock
	data := strings.Repeat("x", 100)
	whole := data + strings.Repeat("\x00", standardBlock-100)
	others := [][]byte{
		keepAlive, frame(1, ""), frame(20, "extension"), frame(framePiece, "short"), frame(frameRequest, "odd"),
		blockFrame(frameRequest, 1, begin, standardBlock), wholePieceFrame(2, 0, whole), wholePieceFrame(2, begin, "other"),
	}
	with := func(frames ...[]byte) [][]byte {
		return append(append([][]byte{}, others...), append(frames, others...)...)
	}
	for _, cut := range []int{1, 2, 3, 5, 7, 13, 17, 100, 1 << 20} {
		p := paddedForTest()
		check := func(e *frameEditor, what string, give, want []byte) {
			t.Helper()
			if got := e.run(cut, with(give)...); !bytes.Equal(got, bytes.Join(with(want), nil)) {
				t.Fatalf("cuts of %d: %s is wrong", cut, what)
			}
		}
		check(&p.out, "request to a stranger", blockFrame(frameRequest, 2, begin, 100), blockFrame(frameRequest, 2, begin, 100))
		check(&p.in, "its reject", blockFrame(frameReject, 2, begin, 100), blockFrame(frameReject, 2, begin, 100))
		check(&p.out, "the second request", blockFrame(frameRequest, 2, begin, 100), blockFrame(frameRequest, 2, begin, standardBlock))
		check(&p.in, "its piece", wholePieceFrame(2, begin, whole), wholePieceFrame(2, begin, data))
		check(&p.out, "piece to a stranger", wholePieceFrame(2, begin, data), wholePieceFrame(2, begin, data))
		check(&p.in, "its request", blockFrame(frameRequest, 2, begin, standardBlock), blockFrame(frameRequest, 2, begin, 100))
		check(&p.in, "its cancel", blockFrame(frameCancel, 2, begin, standardBlock), blockFrame(frameCancel, 2, begin, 100))
		check(&p.out, "reject", blockFrame(frameReject, 2, begin, 100), blockFrame(frameReject, 2, begin, standardBlock))
		check(&p.out, "piece", wholePieceFrame(2, begin, data), wholePieceFrame(2, begin, whole))
		check(&p.out, "cancel", blockFrame(frameCancel, 2, begin, 100), blockFrame(frameCancel, 2, begin, standardBlock))
	}
}

func TestNeighbourThatDoesNotPad(t *testing.T) {
	p := paddedForTest()
	request := blockFrame(frameRequest, 2, standardBlock, 100)
	piece := wholePieceFrame(2, standardBlock, strings.Repeat("x", 100))
	for name, e := range map[string]*frameEditor{"in": &p.in, "out": &p.out} {
		if got := e.run(1<<20, request, piece); !bytes.Equal(got, append(request, piece...)) {
			t.Errorf("%s: changed", name)
		}
	}
}

func TestWholeLastBlockIsLeftAlone(t *testing.T) {
	last := newLastBlock(Torrent{Size: 65536 + standardBlock, PieceLength: 65536, Pieces: 2})
	if last.isIn(blockFrame(frameRequest, 1, standardBlock, standardBlock)) {
		t.Errorf("%+v", last)
	}
}
