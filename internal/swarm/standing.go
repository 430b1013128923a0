package swarm

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
)

// identity is whom a transfer takes a neighbour for. A peer ID says what it likes,
// so that the IP goes with it: nobody can bring another host into disrepute.
type identity struct {
	ip   netip.Addr
	key  string // address key; empty: another client, known by its IP alone
	name string // of its certificate, under TLS: then that alone is who it is
}

// standing is what a transfer holds against a neighbour. transfer.mu guards it.
type standing struct {
	identity
	addr   netip.AddrPort // where it was reached, or where it came from
	seeder bool           // it says that it is one
	conns  int
	bad    int // pieces; with one it is cut off
	away   bool
}

const (
	// cutOffPerIP is of how many neighbours at one IP bad pieces are taken before
	// nobody else who comes from there is let in: a host may call itself something
	// else each time. Who is dialled has no choice of a name.
	cutOffPerIP = 3
	// maxTrial is how long neighbours are kept away for one piece's sake.
	maxTrial = 10 * time.Second
)

// CutOff is a neighbour that sent bad pieces, and with which a fetch has nothing to
// do any more.
type CutOff struct {
	Addr   netip.AddrPort // where it was reached, or where it came from
	Key    string         // the hash of its address in its peer ID, as hex; empty: it is another client, or has a name
	Name   string         // of its certificate; empty: TLS is off
	Seeder bool           // it said that it is one
	Pieces int            // bad ones that it had a part in
}

// String says who was cut off, and why.
func (c CutOff) String() string {
	who, pieces, why := "neighbour", "pieces", ""
	if c.Seeder {
		who, why = "seeder", ": its copy is damaged"
	}
	if c.Name != "" {
		who += " " + c.Name + " at"
	}
	if c.Pieces == 1 {
		pieces = "piece"
	}
	return fmt.Sprintf("%s %s sent %d bad %s and was cut off%s", who, c.Addr, c.Pieces, pieces, why)
}

// admit notes a connection to a neighbour. It returns nil if the neighbour is not
// let in.
func (t *transfer) admit(who identity, remote *remoteAddr, seeder bool) *standing {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.welcome(who) || !remote.dialled && t.badIPs[who.ip] >= cutOffPerIP {
		return nil
	}
	s := t.standings[who]
	if s == nil {
		s = &standing{identity: who, addr: remote.addr}
		t.standings[who] = s
	}
	if remote.dialled {
		s.addr = remote.addr
	}
	s.conns++
	s.seeder = s.seeder || seeder
	return s
}

// welcome needs t.mu.
func (t *transfer) welcome(who identity) bool {
	s := t.standings[who]
	return s == nil || s.bad == 0 && (!s.away || !time.Now().Before(t.trialEnds))
}

// welcomeAt needs t.mu. It tells whether an address is worth dialling.
func (t *transfer) welcomeAt(a netip.AddrPort) bool {
	for _, s := range t.standings {
		if s.addr == a && !t.welcome(s.identity) {
			return false
		}
	}
	return t.welcome(identity{ip: a.Addr(), key: addressKey(a)})
}

// resign notes that a connection has ended. Who has none and did no wrong is
// forgotten.
func (t *transfer) resign(s *standing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.conns--; s.conns == 0 && s.bad == 0 && !s.away {
		delete(t.standings, s.identity)
	}
}

// received notes who sent a block that is being written.
func (t *transfer) received(piece int, begin int64, from *standing) {
	length := min(t.meta.PieceLength, t.meta.Size-int64(piece)*t.meta.PieceLength)
	blocks := (length + t.block - 1) / t.block
	t.judging.Lock()
	defer t.judging.Unlock()
	t.blame.received(piece, int(begin/t.block), int(blocks), from)
}

// pieceJudged is told of each piece that was hashed.
func (t *transfer) pieceJudged(piece int, right bool) {
	sums := func() []uint64 { return t.file.sums(piece, t.block) }
	judge := t.blame.failed
	if right {
		judge = t.blame.passed
	}
	t.judging.Lock()
	v := judge(piece, sums)
	t.judging.Unlock()
	if v.guilty == nil && v.away == nil && !v.ended {
		return
	}
	for _, c := range t.carryOut(v) {
		c.raw.Close() // the client's reader sees it next
	}
	t.announceNow() // others are wanted instead
}

// pieceUnread is told of a piece that could not be hashed, which is nobody's fault.
func (t *transfer) pieceUnread(piece int) {
	t.judging.Lock()
	defer t.judging.Unlock()
	t.blame.forget(piece)
}

// carryOut returns which connections are to be ended.
func (t *transfer) carryOut(v verdict[*standing]) (end []*conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.ended {
		t.comeBack()
	}
	for _, s := range v.guilty {
		t.cutOff(s)
	}
	for _, s := range v.away {
		s.away, t.trialEnds = true, time.Now().Add(maxTrial)
	}
	for c := range t.conns {
		if p := c.peer.Load(); p != nil && !t.welcome(p.standing.identity) {
			end = append(end, c)
		}
	}
	return end
}

// cutOff needs t.mu.
func (t *transfer) cutOff(s *standing) {
	if s.bad++; s.bad > 1 {
		return
	}
	t.standings[s.identity] = s // it may have left, and been forgotten
	if s.ip.IsValid() {
		t.badIPs[s.ip]++
	}
	t.swarm.log.Warn("a neighbour sent a bad piece and is cut off", zap.Stringer("infohash", t.meta.InfoHash),
		zap.Stringer("address", s.addr), zap.Bool("seeder", s.seeder))
}

// comeBack needs t.mu.
func (t *transfer) comeBack() {
	for who, s := range t.standings {
		if s.away = false; s.conns == 0 && s.bad == 0 {
			delete(t.standings, who)
		}
	}
}

// cutOffs returns who was cut off so far, in order of their addresses.
func (t *transfer) cutOffs() []CutOff {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []CutOff
	for _, s := range t.standings {
		if s.bad > 0 {
			all = append(all, CutOff{Addr: s.addr, Name: s.name, Key: hex.EncodeToString([]byte(s.key)), Seeder: s.seeder, Pieces: s.bad})
		}
	}
	slices.SortFunc(all, func(a, b CutOff) int { return a.Addr.Compare(b.Addr) })
	return all
}
