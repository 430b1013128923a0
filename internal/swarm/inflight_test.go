package swarm

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What one neighbour is asked for at once is bounded, however much it could send and
// however fast it was before it stalled.
func TestFewRequestsAreOpen(t *testing.T) {
	const size, answered = 16 << 20, 400
	const most = 250 // the client's bound for who names none
	s := newSiege(t, size, siegeRate, true)
	var open, peak atomic.Int64
	fast, _ := s.lair(RolePeer, func(h *speaker) {
		if h.say(frame(frameHaveAll, ""), frame(1, "")) != nil {
			return
		}
		for n := 0; ; {
			kind, b, err := h.listen()
			switch {
			case err != nil:
				return
			case kind == frameRequest:
				peak.Store(max(peak.Load(), open.Add(1)))
				if n++; n > answered {
					continue
				}
				if h.say(s.block(b)) != nil {
					return
				}
				open.Add(-1)
			case kind == frameCancel:
				open.Add(-1)
			}
		}
	})
	s.fetch(fast)
	if t.Logf("%d requests were open", peak.Load()); peak.Load() == 0 || peak.Load() > most {
		t.Errorf("%d requests were open at once, want 1 to %d", peak.Load(), most)
	}
}

// block is the true answer to a request.
func (s *siege) block(request []byte) []byte {
	n := binary.BigEndian.Uint32
	u := upload{piece: n(request), begin: n(request[4:]), length: int(n(request[8:]))}
	at := int64(u.piece)*s.m.PieceLength + int64(u.begin)
	return append(u.appendHead(nil), s.artifact[at:at+int64(u.length)]...)
}

// Under a download limit all connections together may have half a second's worth on
// the way, as the kernel has it: what is in its buffers no limit holds back.
func TestReceiveWindowsAreBounded(t *testing.T) {
	const limit = 1 << 20
	c := newCrowd(t, 8, 1, 4<<20)
	limited := c.hosts[0]
	limited.SetLimits(0, limit)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i, h := range c.hosts {
		wg.Go(func() { c.hint(ctx, i) })
		path := filepath.Join(t.TempDir(), "part")
		wg.Go(func() { _ = h.Fetch(ctx, c.torrents[0], path, func(Progress) {}) })
	}
	m, _ := ParseTorrent(c.torrents[0])
	tr := awaitTransfer(ctx, limited, m.InfoHash)
	for tick := time.Tick(5 * time.Millisecond); ; <-tick {
		sum, conns := windows(t, tr)
		if conns >= 2 && sum <= max(limit/2, conns*minWindow) {
			t.Logf("%d connections have windows of %d KiB in all", conns, sum>>10)
			return
		}
		if ctx.Err() != nil || tr.complete() {
			t.Fatalf("%d connections have windows of %d KiB in all", conns, sum>>10)
		}
	}
}

// windows are the bounds of the receive windows of the connections over which
// something has come.
func windows(t *testing.T, tr *transfer) (sum, conns int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for c := range tr.conns {
		if p := c.peer.Load(); p == nil || p.moved.Load() == p.since.UnixNano() {
			continue
		}
		err := c.receiving.raw.Control(func(fd uintptr) {
			n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP)
			if err != nil {
				t.Error(err)
			}
			sum += n
		})
		if err == nil { // else it has just ended
			conns++
		}
	}
	return sum, conns
}
