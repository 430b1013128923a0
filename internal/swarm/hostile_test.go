package swarm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"crow/internal/release"
)

// speaker is a node that speaks the peer wire by hand.
type speaker struct {
	net.Conn
	in *bufio.Reader
}

// peerIDOf is the peer ID of a node at an address.
func peerIDOf(role Role, addr netip.AddrPort) string { return newPeerID(role, addr) }

// greet exchanges handshakes (BEP 3, with the bit of BEP 6). Its error is that of a
// node that hangs up.
func greet(c net.Conn, m Torrent, id string) (*speaker, error) {
	short := m.InfoHash.Short()
	hello := append([]byte("\x13BitTorrent protocol\x00\x00\x00\x00\x00\x00\x00\x04"), short[:]...)
	if _, err := c.Write(append(hello, id...)); err != nil {
		return nil, err
	}
	s := &speaker{c, bufio.NewReader(c)}
	_, err := io.ReadFull(s.in, make([]byte, handshakeLen))
	return s, err
}

func (s *speaker) say(frames ...[]byte) error {
	_, err := s.Write(bytes.Join(frames, nil))
	return err
}

// listen returns the next frame's type and body; a keep-alive is of type 0.
func (s *speaker) listen() (kind byte, body []byte, err error) {
	var length [lengthLen]byte
	if _, err := io.ReadFull(s.in, length[:]); err != nil || length == [lengthLen]byte{} {
		return 0, nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err = io.ReadFull(s.in, b)
	return b[0], b[1:], err
}

// hear reads until the node hangs up.
func (s *speaker) hear() { _, _ = io.Copy(io.Discard, s.in) }

// serve claims to have everything, and answers requests with what answer makes of
// them, until the node hangs up.
func (s *speaker) serve(answer func(piece, begin, length uint32) []byte) {
	if s.say(frame(frameHaveAll, ""), frame(1, "")) != nil {
		return
	}
	for {
		kind, b, err := s.listen()
		if err != nil {
			return
		}
		if kind == frameRequest {
			n := binary.BigEndian.Uint32
			if s.say(answer(n(b), n(b[4:]), n(b[8:]))) != nil {
				return
			}
		}
	}
}

// garbage is a block that is not the artifact's.
func garbage(piece, begin, length uint32) []byte {
	u := upload{piece: piece, begin: begin, length: int(length)}
	return append(u.appendHead(nil), make([]byte, length)...)
}

// first has the peer find the seeder only when it has asked the hostile node for a
// block, which then answers: on a busy machine it might come when all is there.
func (s *siege) first(answer func(piece, begin, length uint32) []byte) func(piece, begin, length uint32) []byte {
	s.asked = make(chan struct{})
	once := sync.OnceFunc(func() { close(s.asked) })
	return func(piece, begin, length uint32) []byte {
		once()
		return answer(piece, begin, length)
	}
}

// pester knocks and serves until first was asked: a client that is not yet about to
// download its torrent turns away whoever comes.
func (s *siege) pester(id string, answer func(piece, begin, length uint32) []byte) {
	for s.ctx.Err() == nil {
		if h, err := s.knock(id); err == nil {
			h.serve(answer)
		}
		select {
		case <-s.asked:
			return
		default:
		}
	}
}

// siege is a peer that fetches from an honest seeder, and who wants to hinder it.
type siege struct {
	*testing.T
	m            Torrent
	torrent      []byte
	artifact     []byte
	seeder, peer *Swarm
	path         string
	wg           sync.WaitGroup
	ctx          context.Context
	asked        chan struct{} // if not nil: the seeder is found when it is closed
}

// newSiege is of an artifact of size bytes, which the seeder sends at a rate.
func newSiege(t *testing.T, size int, rate release.Rate, standard bool) *siege {
	t.Helper()
	s := &siege{T: t, artifact: randomArtifact(size), path: filepath.Join(t.TempDir(), "part")}
	s.torrent = makeTorrent(t, s.artifact)
	s.m, _ = ParseTorrent(s.torrent)
	var end context.CancelFunc
	s.ctx, end = context.WithTimeout(t.Context(), 30*time.Second)
	var nodes []*Swarm
	for i, role := range []Role{RoleSeeder, RolePeer} {
		ip := []string{"127.0.0.1", "127.0.0.2"}[i]
		n, err := New(Config{Role: role, Listen: ip + ":0", Advertise: ip, Standard: standard, Log: zaptest.NewLogger(t)})
		if err != nil {
			t.Fatal(err)
		}
		s.wg.Go(func() { n.Run(s.ctx) })
		nodes = append(nodes, n)
	}
	t.Cleanup(func() { end(); s.wg.Wait() })
	s.seeder, s.peer = nodes[0], nodes[1]
	s.seeder.SetLimits(rate, 0)
	if err := s.seeder.Seed(s.torrent, writeFile(t, s.artifact)); err != nil {
		t.Fatal(err)
	}
	return s
}

// fetch has the peer fetch from the seeder, and others be neighbours beside it.
func (s *siege) fetch(others ...netip.AddrPort) Progress {
	s.Helper()
	stop := make(chan struct{})
	var hints sync.WaitGroup
	hints.Go(func() {
		if awaitTransfer(s.ctx, s.peer, s.m.InfoHash) == nil {
			return
		}
		if s.asked != nil {
			select {
			case <-s.asked:
			case <-s.ctx.Done():
			}
		}
		for tick := time.Tick(50 * time.Millisecond); ; {
			s.peer.AddNeighbours(s.m.InfoHash, append(slices.Clone(others), s.seeder.Addr()))
			select {
			case <-tick:
			case <-stop:
				return
			}
		}
	})
	var last Progress
	err := s.peer.Fetch(s.ctx, s.torrent, s.path, func(p Progress) { last = p })
	close(stop)
	hints.Wait()
	if err != nil {
		s.Fatalf("fetch: %v, with %+v", err, last)
	}
	assertContent(s.T, s.path, s.artifact)
	return last
}

// knock has a hostile node connect to the peer, once it has begun to fetch.
func (s *siege) knock(id string) (*speaker, error) {
	awaitTransfer(s.ctx, s.peer, s.m.InfoHash)
	c, err := (&net.Dialer{}).DialContext(s.ctx, "tcp", s.peer.Addr().String())
	if err != nil {
		return nil, err
	}
	s.closeInTheEnd(c)
	return greet(c, s.m, id)
}

func (s *siege) closeInTheEnd(c net.Conn) {
	s.wg.Go(func() { <-s.ctx.Done(); c.Close() })
}

// lair has a hostile node wait for the peer to dial it. Its address is returned,
// and how often it was dialled.
func (s *siege) lair(role Role, do func(*speaker)) (addr netip.AddrPort, dialled func() int) {
	l, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", "127.0.0.66:0")
	if err != nil {
		s.Fatal(err)
	}
	s.wg.Go(func() { <-s.ctx.Done(); l.Close() })
	addr = l.Addr().(*net.TCPAddr).AddrPort()
	var mu sync.Mutex
	count := 0
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			count++
			mu.Unlock()
			s.closeInTheEnd(c)
			s.wg.Go(func() {
				if sp, err := greet(c, s.m, peerIDOf(role, addr)); err == nil {
					do(sp)
				}
			})
		}
	})
	return addr, func() int { mu.Lock(); defer mu.Unlock(); return count }
}

const siegeSize, siegeRate = 4 << 20, 4 << 20

// Who sends bad pieces is cut off and named, and nobody else, whoever dialled, also
// where each piece comes from several.
func TestBadPieces(t *testing.T) {
	for name, standard := range map[string]bool{"a piece is one block": false, "a piece is four": true} {
		t.Run(name, func(t *testing.T) {
			s := newSiege(t, siegeSize, siegeRate, standard)
			bad, dialled := s.lair(RolePeer, func(h *speaker) { h.serve(garbage) })
			got := s.fetch(bad)
			if len(got.CutOff) != 1 || got.CutOff[0].Addr != bad || got.CutOff[0].Pieces < 1 || got.CutOff[0].Seeder {
				t.Errorf("cut off: %v, want %s", got.CutOff, bad)
			}
			if got.Rejected < 1 || dialled() != 1 {
				t.Errorf("%d pieces rejected; the bad neighbour was dialled %d times", got.Rejected, dialled())
			}
			// A verdict is for this transfer alone.
			s.peer.Drop(s.m.InfoHash)
			if err := os.Remove(JournalPath(s.path)); err != nil {
				t.Fatal(err)
			}
			if s.fetch(bad); dialled() != 2 {
				t.Errorf("after two transfers it was dialled %d times", dialled())
			}
		})
	}
}

func TestBadPiecesOfWhoCameItself(t *testing.T) {
	s := newSiege(t, siegeSize, siegeRate, false)
	own := netip.MustParseAddrPort("127.0.0.66:7401")
	again := make(chan error, 1)
	answer := s.first(garbage)
	s.wg.Go(func() {
		s.pester(peerIDOf(RolePeer, own), answer)
		_, err := s.knock(peerIDOf(RolePeer, own))
		again <- err
	})
	got := s.fetch()
	if len(got.CutOff) != 1 || got.CutOff[0].Addr.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("cut off: %v, want who came from 127.0.0.1", got.CutOff)
	}
	if <-again == nil {
		t.Error("it was not let in once, or again")
	}
}

// A host that calls itself something else each time does not go on for ever, and
// other hosts at its IP that are connected suffer no harm by it.
func TestBadPiecesUnderManyNames(t *testing.T) {
	s := newSiege(t, siegeSize, siegeRate, false)
	s.wg.Go(func() {
		for port := range uint16(20) {
			h, err := s.knock(peerIDOf(RolePeer, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.66"), port)))
			if err != nil {
				return
			}
			h.serve(garbage)
		}
	})
	if got := s.fetch(); len(got.CutOff) > cutOffPerIP {
		t.Errorf("bad pieces were taken of %v", got.CutOff)
	}
}

// Nobody is cut off in the place of another whose name it goes by.
func TestNobodyBringsAnotherIntoDisrepute(t *testing.T) {
	honest := netip.MustParseAddrPort("10.0.0.5:7401")
	const tries = 3 // on a busy machine the honest one may bring all before it is asked twice
	for range tries {
		s := newSiege(t, siegeSize, siegeRate, false)
		answer := s.first(garbage)
		s.wg.Go(func() { s.pester(peerIDOf(RoleSeeder, honest), answer) })
		got := s.fetch()
		tr := s.peer.find(s.m.InfoHash.Short())
		tr.mu.Lock()
		welcome := tr.welcomeAt(honest)
		tr.mu.Unlock()
		if !welcome || len(got.CutOff) > 1 {
			t.Fatalf("cut off: %v; is the host whose name it used still dialled: %t", got.CutOff, welcome)
		}
		if len(got.CutOff) == 1 {
			return
		}
	}
	t.Error("the hostile neighbour was never cut off")
}

func TestDamagedSeeder(t *testing.T) {
	s := newSiege(t, siegeSize, siegeRate, false)
	bad, _ := s.lair(RoleSeeder, func(h *speaker) { h.serve(garbage) })
	got := s.fetch(bad)
	if len(got.CutOff) != 1 || !strings.HasSuffix(got.CutOff[0].String(), "cut off: its copy is damaged") {
		t.Errorf("cut off: %v", got.CutOff)
	}
}

func TestCutOffText(t *testing.T) {
	addr := netip.MustParseAddrPort("10.0.0.7:7401")
	for want, c := range map[string]CutOff{
		"neighbour 10.0.0.7:7401 sent 3 bad pieces and was cut off":                   {Addr: addr, Pieces: 3},
		"neighbour 10.0.0.7:7401 sent 1 bad piece and was cut off":                    {Addr: addr, Pieces: 1},
		"neighbour web-3 at 10.0.0.7:7401 sent 1 bad piece and was cut off":           {Addr: addr, Pieces: 1, Name: "web-3"},
		"seeder 10.0.0.7:7401 sent 2 bad pieces and was cut off: its copy is damaged": {Addr: addr, Pieces: 2, Seeder: true},
	} {
		if c.String() != want {
			t.Errorf("%q, want %q", c, want)
		}
	}
}

// Whatever a neighbour does, the transfer goes on with the honest one, and memory
// stays in bounds.
func TestHostileNeighbours(t *testing.T) {
	const memory = 48 << 20 // bytes more than before, garbage included
	repeat := func(h *speaker, times int, f []byte) {
		at := max(1, min(times, 1<<16/len(f)))
		for some := bytes.Repeat(f, at); times > 0; times -= at {
			if h.say(some) != nil {
				return
			}
		}
		h.hear()
	}
	pieces := siegeSize / release.MinPieceLength
	for name, do := range map[string]func(h *speaker){
		"it says nothing": func(h *speaker) { h.hear() },
		"a byte a second": func(h *speaker) {
			for tick := time.Tick(time.Second); h.say([]byte{0}) == nil; <-tick {
			}
		},
		"a frame of 4 GiB":       func(h *speaker) { repeat(h, 100_000, bytes.Repeat([]byte{0xff}, 1000)) },
		"a piece frame of 4 GiB": func(h *speaker) { _ = h.say([]byte("\xff\xff\xff\xff\x07")); repeat(h, 100_000, make([]byte, 1000)) },
		"a bitfield too short":   func(h *speaker) { _ = h.say(frame(frameBitfield, "\xff")); h.hear() },
		"a bitfield too long":    func(h *speaker) { _ = h.say(frame(frameBitfield, strings.Repeat("\xff", 1<<20))); h.hear() },
		"bitfields on and on":    func(h *speaker) { repeat(h, 100_000, frame(frameBitfield, strings.Repeat("\xaa", pieces/8))) },
		"a million Haves":        func(h *speaker) { repeat(h, 1_000_000, appendHave(nil, 3)) },
		"Haves of no pieces":     func(h *speaker) { repeat(h, 1000, appendHave(nil, 1<<31)) },
		"HaveAll on and on":      func(h *speaker) { repeat(h, 100_000, frame(frameHaveAll, "")) },
		"has all, sends nothing": func(h *speaker) { h.serve(func(_, _, _ uint32) []byte { return nil }) },
		"rejects everything": func(h *speaker) {
			h.serve(func(p, b, l uint32) []byte { return blockFrame(frameReject, p, b, l) })
		},
		"unasked pieces": func(h *speaker) { repeat(h, 100, garbage(1, 0, 64<<10)) },
		"pieces outside the artifact": func(h *speaker) {
			h.serve(func(p, b, l uint32) []byte { return garbage(p+uint32(pieces), b, l) })
		},
		"pieces too long":    func(h *speaker) { h.serve(func(p, b, l uint32) []byte { return garbage(p, b, 2*l) }) },
		"requests outside":   func(h *speaker) { repeat(h, 1_000_000, blockFrame(frameRequest, 1<<30, 0, 64<<10)) },
		"empty requests":     func(h *speaker) { repeat(h, 1_000_000, frame(frameRequest, "")) },
		"a request of 4 GiB": func(h *speaker) { repeat(h, 1000, blockFrame(frameRequest, 0, 0, 1<<32-1)) },
		"requests and cancels": func(h *speaker) {
			repeat(h, 1_000_000, append(blockFrame(frameRequest, 0, 0, 1), blockFrame(frameCancel, 0, 0, 1)...))
		},
		"a million requests, and it reads nothing": func(h *speaker) {
			for i := range uint32(1000) {
				var b []byte
				for j := range uint32(1000) {
					b = append(b, blockFrame(frameRequest, 0, i, 1+j)...)
				}
				if h.say(frame(2, ""), b) != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSiege(t, siegeSize, siegeRate, false)
			before := heap()
			var most atomic.Uint64
			bad, _ := s.lair(RolePeer, do)
			done := make(chan struct{})
			end := sync.OnceFunc(func() { close(done) })
			defer end()
			s.wg.Go(func() {
				for tick := time.Tick(20 * time.Millisecond); ; {
					select {
					case <-tick:
						most.Store(max(most.Load(), heap()))
					case <-done:
						return
					}
				}
			})
			begun := time.Now()
			got := s.fetch(bad)
			end()
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("took %s", took)
			}
			if len(got.CutOff) != 0 {
				t.Errorf("cut off: %v; no piece was bad", got.CutOff)
			}
			if most.Load() > before+memory {
				t.Errorf("%d MiB in use, %d MiB before", most.Load()>>20, before>>20)
			}
		})
	}
}

// heap is the memory in use, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// Two hundred connections from one address, which greet or don't, leave room for
// the honest neighbour.
func TestManyConnectionsFromOneAddress(t *testing.T) {
	for name, say := range map[string]bool{"they say nothing": false, "they greet": true} {
		t.Run(name, func(t *testing.T) {
			s := newSiege(t, siegeSize, siegeRate, false)
			full := make(chan struct{})
			s.wg.Go(func() {
				defer close(full)
				awaitTransfer(s.ctx, s.peer, s.m.InfoHash)
				for port := range uint16(200) {
					c, err := (&net.Dialer{}).DialContext(s.ctx, "tcp", s.peer.Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					s.closeInTheEnd(c)
					if say {
						_, _ = greet(c, s.m, peerIDOf(RolePeer, netip.AddrPortFrom(netip.MustParseAddr("10.9.9.9"), port)))
					}
				}
			})
			s.fetch()
			<-full
			if n := s.peer.conns.Load(); n > maxGreetingIP+2*maxPeerTransferConns {
				t.Errorf("%d connections", n)
			}
		})
	}
}
