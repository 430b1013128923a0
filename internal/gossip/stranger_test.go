package gossip

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// seal makes what memberlist would of a message, in the given version of its
// encryption.
func seal(t *testing.T, version byte, key, message, data []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	return gcm.Seal(append([]byte{version}, nonce...), nonce, message, data)
}

// sealStream is seal for a stream, whose head is sealed with it.
func sealStream(t *testing.T, version byte, key, message []byte) []byte {
	t.Helper()
	head := binary.BigEndian.AppendUint32([]byte{sealedType}, uint32(1+12+len(message)+16))
	return append(head, seal(t, version, key, message, head)...)
}

func dial(t *testing.T, network string, to *member) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, to.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // the test ends
	return conn
}

// Not even who has a key ends a member: memberlist would panic at a padding
// longer than the message, and at a stream with no message.
func TestForgedByAMember(t *testing.T) {
	t.Parallel()
	c := keyed(config(t, "seeder-1"), oldKey)
	c.Log = zap.NewNop() // it rightly complains
	seeder := run(t, c)
	padded := make([]byte, 16)
	padded[15] = 255
	for _, key := range [][]byte{oldKey, newKey} {
		if _, err := dial(t, "udp", seeder).Write(seal(t, 0, key, padded, nil)); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{sealStream(t, 0, key, padded), sealStream(t, 1, key, nil), {sealedType}, {sealedType, 0, 0, 0, 0, 1}} {
			conn := dial(t, "tcp", seeder)
			conn.Write(b)                    //nolint:errcheck // it may have been refused in between
			conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // as above
			io.Copy(io.Discard, conn)        //nolint:errcheck // until it was dealt with
		}
	}
	run(t, keyed(config(t, "web-1", seeder.Gossip), oldKey)) // and with the member it dials
	seeder.sees(t, "web-1", Alive)
}

// A member that is joined may be a liar too.
func TestForgedAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test ends
	c := keyed(config(t, "web-1"), oldKey)
	c.Join, c.Log = []string{l.Addr().String()}, zap.NewNop()
	run(t, c)
	for range 2 { // the second call proves that the first answer ended nothing
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(sealStream(t, 1, oldKey, nil)); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, conn) //nolint:errcheck // until it was dealt with
		conn.Close()              //nolint:errcheck // as above
	}
}

func TestSealedHead(t *testing.T) {
	tests := map[string]struct {
		head [sealedHead]byte
		ok   bool
	}{
		"smallest":          {[...]byte{10, 0, 0, 0, minSealed, 1}, true},
		"large":             {[...]byte{10, 1, 0, 0, 0, 1}, true},
		"no message":        {[...]byte{10, 0, 0, 0, minSealed - 1, 1}, false},
		"padded":            {[...]byte{10, 1, 0, 0, 0, 0}, false},
		"later version":     {[...]byte{10, 1, 0, 0, 0, 2}, false},
		"not sealed at all": {[...]byte{6, 0, 0, 0, 0, 0}, true}, // memberlist's to refuse
	}
	for name, test := range tests {
		if err := checkSealedHead(test.head); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The head is given back whole, whatever the sizes of reads.
func FuzzSealedReader(f *testing.F) {
	f.Add("\x0a\x00\x00\x00\x1e\x01message", 3)
	f.Add("\x06", 1)
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 1 || size > 1000 {
			return
		}
		r := &sealedReader{in: strings.NewReader(text)}
		var got []byte
		buf := make([]byte, size)
		for {
			n, err := r.Read(buf)
			got = append(got, buf[:n]...)
			if err != nil {
				break
			}
		}
		var head [sealedHead]byte
		if copy(head[:], text) < sealedHead || checkSealedHead(head) != nil {
			text = ""
		}
		if string(got) != text {
			t.Fatalf("read %q, want %q", got, text)
		}
	})
}

// Strangers that send long messages get only so much of a member's memory, and
// give it back.
func TestStrangersHoldLittle(t *testing.T) {
	t.Parallel()
	c := keyed(config(t, "seeder-1"), oldKey)
	c.Log = zap.NewNop() // it rightly complains
	seeder := run(t, c)
	const strangers, size = 8, 19 << 20 // memberlist lets 20 MB pass
	head := append(binary.BigEndian.AppendUint32([]byte{sealedType}, size), 1)
	block := make([]byte, 1<<20)
	var sending sync.WaitGroup
	for range strangers {
		conn := dial(t, "tcp", seeder)
		sending.Go(func() {
			_, err := conn.Write(head)
			for i := 0; i < size>>20-1 && err == nil; i++ { // never all of it: the stream stays open
				_, err = conn.Write(block)
			}
		})
	}
	most := int64(0)
	done := make(chan struct{})
	go func() { sending.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		most = max(most, seeder.wire.held.Load())
	}
	// The read that goes over the limit is counted, one for each stream.
	if limit := int64(maxHeld + strangers*maxRead); most == 0 || most > limit {
		t.Errorf("strangers held %d bytes, want at most %d", most, limit)
	}
	poll(t, "all is given back", func() bool { return seeder.wire.held.Load() == 0 })
	run(t, keyed(config(t, "web-1", seeder.Gossip), oldKey))
	seeder.sees(t, "web-1", Alive)
}

// A host with another key asks ever more seldom, and neither it nor a flood of
// packets fills the log, nor hides other trouble.
func TestWrongKeyIsCheap(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	c := keyed(config(t, "seeder-1"), oldKey)
	c.Log = zap.New(core)
	seeder := run(t, c)
	streams := func() (n int) {
		for _, e := range logs.FilterMessage("gossip").All() {
			if detail, _ := e.ContextMap()["detail"].(string); strings.Contains(detail, "Stream connection") {
				n++
			}
		}
		return n
	}
	own, ownLogs := observer.New(zapcore.InfoLevel)
	c = keyed(config(t, "web-1", seeder.Gossip), newKey)
	c.Log = zap.New(own)
	start := time.Now()
	run(t, c)
	flood := dial(t, "udp", seeder)
	noise := seal(t, 1, newKey, make([]byte, 100), nil)
	for range 1000 {
		if _, err := flood.Write(noise); err != nil {
			t.Fatal(err)
		}
	}
	const tries, least = 7, 2500 * time.Millisecond
	poll(t, "the host tries to join", func() bool { return streams() >= tries })
	// backoff takes at least half of 250 ms, and each time half as much again.
	if took, n := time.Since(start), streams(); took < least || n > tries+1 {
		t.Errorf("%d tries in %v", n, took)
	}
	refused := logs.FilterMessageSnippet("not sealed with a key of this host").Len()
	if refused == 0 || refused > maxRepeats {
		t.Errorf("the seeder logged %d refusals, want 1 to %d", refused, maxRepeats)
	}
	if n := ownLogs.Len(); n == 0 || n > 3*maxRepeats {
		t.Errorf("the host logged %d lines, want 1 to %d", n, 3*maxRepeats)
	}
}
