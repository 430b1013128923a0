package swarm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// uplinked is a connection of this node's over loopback, of a transfer of the
// file at path, and its other end.
func uplinked(t *testing.T, path string, m Torrent) (*conn, *transfer, net.Conn) {
	t.Helper()
	s := node(t, RolePeer, "127.0.0.1")
	data, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &file{meta: m, data: data, onChange: func() {}}
	t.Cleanup(func() { f.Close() })
	fi, err := data.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f.complete.Store(&fi)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	other, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	own, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c, tr := newConn(s, own, own, accepted(own)), newTransfer(s, m, f)
	c.peer.Store(&neighbour{conn: c, to: tr, standing: tr.admit(identity{}, c.remote, false)})
	c.out.feed(make([]byte, handshakeLen), (*outgoing)(c))
	t.Cleanup(func() { c.Close(); other.Close() })
	return c, tr, other
}

// rawPiece is the piece frame of a block of an artifact.
func rawPiece(u upload, m Torrent, artifact []byte) []byte {
	at := int64(u.piece)*m.PieceLength + int64(u.begin)
	return append(u.appendHead(nil), artifact[at:at+int64(u.length)]...)
}

func TestBlocksAreSentFromTheFile(t *testing.T) {
	artifact := randomArtifact(1<<20 + 100)
	m := Torrent{Size: int64(len(artifact)), PieceLength: 256 << 10, Pieces: 5}
	path := writeFile(t, artifact)
	blocks := []upload{{0, 0, 128 << 10}, {3, 128 << 10, 128 << 10}, {4, 0, 100}, {1, 5, 1}, {2, 0, 256 << 10}}
	for name, set := range map[string]func(*conn){
		"by sendfile":    func(*conn) {},
		"through memory": func(c *conn) { c.direct = nil },
		"under a limit":  func(c *conn) { c.swarm.SetLimits(16<<20, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			c, tr, other := uplinked(t, path, m)
			set(c)
			var want []byte
			for _, u := range blocks {
				want = append(append(want, rawPiece(u, m, artifact)...), frame(frameHave, "\x00\x00\x00\x07")...)
			}
			done := make(chan error, 1)
			go func() {
				var err error
				for _, u := range blocks {
					err = errors.Join(err, c.sendBlock(tr.file, u), c.send(frame(frameHave, "\x00\x00\x00\x07")))
				}
				done <- err
			}()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(other, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("other bytes than the file's (%v)", err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if sent := tr.counts.sent.Load(); sent != 512<<10+101 {
				t.Errorf("counted %d bytes", sent)
			}
		})
	}
}

// Some files of proc can be read and not be sent from, as those of some file systems.
func TestBlockOfAFileThatCannotBeSentFrom(t *testing.T) {
	const path = "/proc/self/cmdline"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Skip(err)
	}
	c, tr, other := uplinked(t, path, Torrent{Size: int64(len(content)), PieceLength: 64 << 10, Pieces: 1})
	tr.file.complete.Store(nil)
	for range 2 {
		if err := c.sendBlock(tr.file, upload{length: len(content)}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, pieceHeadLen+len(content))
		if _, err := io.ReadFull(other, got); err != nil || !bytes.Equal(got[pieceHeadLen:], content) {
			t.Errorf("got %q (%v)", got, err)
		}
		if c.direct != nil {
			t.Error("it was sent from after all")
		}
	}
}

func TestUploadsOutsideTheArtifact(t *testing.T) {
	artifact := randomArtifact(100_000)
	m := Torrent{Size: 100_000, PieceLength: 64 << 10, Pieces: 2}
	c, tr, _ := uplinked(t, writeFile(t, artifact), m)
	for _, u := range []upload{{2, 0, 1}, {1, 0, 64 << 10}, {0, 1, 64 << 10}, {1<<32 - 1, 1<<32 - 1, 1}, {0, 1<<32 - 1, 1}} {
		if err := c.sendBlock(tr.file, u); !errors.Is(err, errNoBlock) {
			t.Errorf("%+v: %v", u, err)
		}
	}
	if _, err := c.Write(frame(framePiece, "short")); !errors.Is(err, errNoBlock) {
		t.Errorf("a piece frame without a block: %v", err)
	}
}

// Whatever happens to a file of which a block is on its way, the neighbour gets
// no block with a wrong byte, and no frame in the middle of one.
func TestBlockOfAFileInTrouble(t *testing.T) {
	artifact := randomArtifact(64 << 20)
	m := Torrent{Size: int64(len(artifact)), PieceLength: 64 << 20, Pieces: 1}
	for name, trouble := range map[string]func(f *file, path string) error{
		"it is dropped": func(f *file, _ string) error { return f.Close() },
		"it is cut off": func(_ *file, path string) error { return os.Truncate(path, 100) },
		"it is written to": func(_ *file, path string) error {
			err := os.WriteFile(path, make([]byte, len(artifact)), 0o644)
			return errors.Join(err, os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, artifact)
			c, tr, other := uplinked(t, path, m)
			if start, _ := c.outbox.put(upload{length: len(artifact)}); start {
				c.swarm.pumps.Go(c.pump)
			}
			begun := make([]byte, 1<<20) // more is on its way, and waits
			if _, err := io.ReadFull(other, begun); err != nil || !bytes.Equal(begun[pieceHeadLen:], artifact[:len(begun)-pieceHeadLen]) {
				t.Fatalf("a wrong beginning (%v)", err)
			}
			if err := trouble(tr.file, path); err != nil {
				t.Fatal(err)
			}
			_ = other.SetReadDeadline(time.Now().Add(20 * time.Second))
			rest, err := io.ReadAll(other)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection goes on")
			}
			if got := len(begun) + len(rest); name != "it is written to" && got >= pieceHeadLen+len(artifact) {
				t.Errorf("got a whole block of %d bytes", got)
			}
			if _, err := c.Write(frame(frameHave, "\x00\x00\x00\x07")); err == nil {
				t.Error("a frame went out behind a part of a block")
			}
			if err := c.Conn.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the connection is open: %v", err)
			}
		})
	}
}

// A neighbour that takes nothing does not keep its connection from being closed.
func TestBlockedSendEndsWithItsConnection(t *testing.T) {
	artifact := randomArtifact(64 << 20)
	c, tr, _ := uplinked(t, writeFile(t, artifact), Torrent{Size: 64 << 20, PieceLength: 64 << 20, Pieces: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.sendBlock(tr.file, upload{length: len(artifact)}) }()
	c.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("64 MiB were sent to nobody")
		}
	case <-ctx.Done():
		t.Error("it still waits")
	}
}

// Behind a part of a block nothing goes out: it would be taken for the rest.
func TestNothingFollowsAPartOfABlock(t *testing.T) {
	path := writeFile(t, make([]byte, 1000))
	c, tr, _ := uplinked(t, path, Torrent{Size: 64 << 10, PieceLength: 64 << 10, Pieces: 1})
	tr.file.complete.Store(nil)
	if err := c.sendBlock(tr.file, upload{length: 64 << 10}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a block of a file that is too short: %v", err)
	}
	if _, err := c.Write(frame(frameHave, "\x00\x00\x00\x07")); err == nil {
		t.Error("a frame went out")
	}
}
