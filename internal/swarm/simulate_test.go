package swarm

import (
	"math/rand/v2"
	"slices"
	"time"
)

// simulation is a whole swarm without sockets and clocks: links that share
// their rate evenly among what they carry, hosts that request rarest first, as
// the library does, and the decisions of this package as they are: showing,
// uplink, outbox, holdings, grace. A piece is one block. What it gives is the
// same in each run.
type simulation struct {
	now    time.Time
	rng    *rand.Rand
	pieces int
	seeder *simNode
	hosts  []*simNode
	busy   []*wire // with a block on its way
	sent   int     // blocks, by the seeder
	twice  int     // blocks that arrived where they were held already
}

const (
	blockTime     = 21 * time.Millisecond // what 128 KiB take at 50 Mbit/s
	ticksPerBlock = 4                     // a tick is how finely time passes
	// Pieces that a host has asked one neighbour for. The library's window is some
	// twice of what arrives between two looks at it.
	simWindow = 2
	// The part of a block that the kernel takes before it is sent: the write
	// returns, and the slot is free.
	inKernel = float64(unsentLen) / requestSize
	// What is left of a link or a block is nothing below this.
	nothing = 1e-9
)

// simNode is the seeder or a host.
type simNode struct {
	*simulation
	rate    float64 // of its link each way, in blocks a tick
	has     []bool
	lacks   int
	begun   time.Time
	took    time.Duration
	order   []int   // of the pieces, where they are equally rare
	asked   []*wire // whom each piece was last asked of
	askedAt []time.Time
	grace   *grace
	in, out []*wire // from and to the same neighbours
	held    holdings
	turn    int
	uplink  *uplink
	show    *showing // on the seeder
	up      half
	down    half
}

// half is one direction of a link in one tick: how much it may yet carry, for
// how many, and how much for each.
type half struct {
	left, share float64
	users       int
}

// wire is one direction of a connection.
type wire struct {
	from, to *simNode
	guest    *guest // on the seeder's
	tells    []bool // the pieces that from said it has
	known    pieceSet
	open     int // asked for, not arrived
	box      *outbox
	sender   *sender
	flight   []flying // the first is on its way, the second in the kernel behind it
	slot     bool     // held, since:
	since    time.Time
}

type flying struct {
	piece int
	left  float64 // of the block
}

func newSimulation(seed uint64, hosts, pieces int) *simulation {
	s := &simulation{now: at(0), rng: rand.New(rand.NewPCG(seed, 0)), pieces: pieces}
	s.seeder = s.newNode()
	s.seeder.show, s.seeder.lacks = newShowing(pieces), 0
	for range hosts {
		s.join()
	}
	return s
}

func (s *simulation) newNode() *simNode {
	return &simNode{
		simulation: s, rate: 1.0 / ticksPerBlock, has: make([]bool, s.pieces), lacks: s.pieces, begun: s.now,
		order: s.rng.Perm(s.pieces), asked: make([]*wire, s.pieces), askedAt: make([]time.Time, s.pieces),
		held: make(holdings, s.pieces), uplink: newUplink(uploadSlots),
		grace: newGrace(),
	}
}

func (s *simulation) join() *simNode {
	n := s.newNode()
	s.hosts = append(s.hosts, n)
	s.announce(n)
	return n
}

// announce has a host dial some of what a tracker hands it: hosts that announced
// before, and the seeder, but not to each.
func (s *simulation) announce(n *simNode) {
	others := slices.Clone(s.hosts)
	if s.rng.IntN(len(s.hosts)) < maxPeerTransferConns {
		others = append(others, s.seeder)
	}
	s.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	others = slices.DeleteFunc(others, func(o *simNode) bool {
		return o == n || slices.ContainsFunc(n.out, func(w *wire) bool { return w.to == o })
	})
	for _, o := range others[:max(0, min(dialledNeighbours, enoughNeighbours-len(n.out), len(others)))] {
		if o.show == nil && len(o.out) < maxConns(RolePeer) || o.show != nil && len(o.out) < maxConns(RoleSeeder) {
			s.connect(o, n)
		}
	}
}

func (s *simulation) connect(a, b *simNode) {
	for _, w := range []*wire{{from: a, to: b}, {from: b, to: a}} {
		w.tells, w.known, w.box = make([]bool, s.pieces), newPieceSet(s.pieces), newOutbox()
		w.from.out, w.to.in = append(w.from.out, w), append(w.to.in, w)
		if w.from.show != nil {
			w.guest = w.from.show.newGuest(w.tell)
			defer func() { w.tell(w.from.show.join(w.guest, s.now)) }() // after it has told what it has
		}
	}
	for p, has := range a.has {
		if has {
			a.tellOf(p)
		}
		if b.has[p] {
			b.tellOf(p)
		}
	}
}

// leave has a host vanish.
func (s *simulation) leave(n *simNode) {
	gone := func(w *wire) bool { return w.from == n || w.to == n }
	s.hosts = slices.DeleteFunc(s.hosts, func(o *simNode) bool { return o == n })
	s.busy = slices.DeleteFunc(s.busy, gone)
	for _, w := range n.in {
		w.giveBack()
		w.from.uplink.waiting = slices.DeleteFunc(w.from.uplink.waiting, func(s *sender) bool { return s == w.sender })
		if w.guest != nil {
			w.from.show.leave(w.guest)
		}
	}
	for _, w := range n.out {
		o := w.to
		o.held.leave(w.known)
		o.in, o.out = slices.DeleteFunc(o.in, gone), slices.DeleteFunc(o.out, gone)
		for p := range o.asked {
			if o.asked[p] == w {
				o.asked[p] = nil
			}
		}
	}
}

// tell has the receiver know of pieces.
func (w *wire) tell(pieces []int) {
	for _, p := range pieces {
		if w.tells[p] {
			continue
		}
		w.tells[p] = true
		w.to.held.add(w.known, p)
		if w.open < simWindow && w.to.mayAsk(w, p) {
			w.ask(p)
		}
	}
}

// tellOf has the neighbours know that the node has a piece.
func (n *simNode) tellOf(piece int) {
	for _, w := range n.out {
		w.tell([]int{piece})
	}
	for _, w := range n.in {
		if w.guest != nil {
			w.tell(w.from.show.completed(w.guest, piece, n.now))
		}
	}
}

// mayAsk tells whether a neighbour has a piece that nobody was asked for, or
// another one for too long.
func (n *simNode) mayAsk(w *wire, piece int) bool {
	if n.show != nil || n.has[piece] || !w.tells[piece] || n.asked[piece] == w {
		return false
	}
	return n.asked[piece] == nil || n.now.Sub(n.askedAt[piece]) >= n.grace.length()
}

// request asks a neighbour for what it may, rarest first.
func (n *simNode) request(w *wire) {
	for w.open < simWindow {
		best := -1
		for _, p := range n.order {
			if !n.has[p] && n.mayAsk(w, p) && (best < 0 || n.held.of(p) < n.held.of(best)) {
				best = p
			}
		}
		if best < 0 {
			return
		}
		w.ask(best)
	}
}

func (w *wire) ask(piece int) {
	w.open++
	w.to.asked[piece], w.to.askedAt[piece] = w, w.to.now
	if start, _ := w.box.put(upload{piece: uint32(piece)}); start {
		w.queue()
	}
}

// queue has the wire wait for a slot, unless it has nothing to send.
func (w *wire) queue() {
	if n := w.from; !w.box.rest() {
		w.sender = &sender{turn: &n.turn}
		n.uplink.waiting = append(n.uplink.waiting, w.sender)
	}
}

// grant gives away the slots that are free.
func (n *simNode) grant() {
	for n.uplink.free > 0 && len(n.uplink.waiting) > 0 {
		i := nextToSend(n.uplink.waiting)
		s := n.uplink.waiting[i]
		n.uplink.waiting = slices.Delete(n.uplink.waiting, i, i+1)
		n.uplink.free--
		n.uplink.grants++
		n.turn = n.uplink.grants
		w := n.out[slices.IndexFunc(n.out, func(w *wire) bool { return w.sender == s })]
		u, _ := w.box.take(n.held)
		w.sender, w.slot, w.since = nil, true, n.now
		if w.flight = append(w.flight, flying{int(u.piece), 1}); len(w.flight) == 1 {
			n.busy = append(n.busy, w)
		}
	}
}

func (w *wire) giveBack() {
	if u := w.from.uplink; w.slot {
		w.slot = false
		u.free++
		u.typical += (w.from.now.Sub(w.since) - u.typical) / 16
	}
}

// step lets one tick pass.
func (s *simulation) step() {
	nodes := append([]*simNode{s.seeder}, s.hosts...)
	for _, n := range nodes {
		n.grant()
		n.up.left, n.down.left = n.rate, n.rate
	}
	for range 3 { // what one end leaves of its share goes to others
		s.flow(nodes)
	}
	s.now = s.now.Add(blockTime / ticksPerBlock)
	if s.now.Sub(at(0))%reviewPeriod < blockTime/ticksPerBlock {
		s.review()
	}
	for _, w := range slices.Clone(s.busy) {
		if w.flight[0].left < nothing {
			w.arrive()
		}
		switch written := len(w.flight) == 0 || len(w.flight) == 1 && w.flight[0].left <= inKernel; {
		case written && w.sender == nil:
			w.giveBack()
			w.queue()
		case w.slot && s.now.Sub(w.since) > w.from.uplink.patience():
			w.giveBack()
		}
	}
}

// flow has each link carry an even share of what it can for each of its users.
func (s *simulation) flow(nodes []*simNode) {
	var flows []*wire
	for _, w := range s.busy {
		if w.flight[0].left > nothing && w.from.up.left > nothing && w.to.down.left > nothing {
			flows = append(flows, w)
			w.from.up.users++
			w.to.down.users++
		}
	}
	for _, n := range nodes {
		n.up.share, n.down.share = n.up.left/float64(max(1, n.up.users)), n.down.left/float64(max(1, n.down.users))
		n.up.users, n.down.users = 0, 0
	}
	for _, w := range flows {
		carried := min(w.flight[0].left, w.from.up.share, w.to.down.share)
		w.flight[0].left -= carried
		w.from.up.left -= carried
		w.to.down.left -= carried
	}
}

// arrive is when the last of a block has come.
func (w *wire) arrive() {
	n, piece := w.to, w.flight[0].piece
	w.open--
	if w.flight = w.flight[1:]; len(w.flight) == 0 {
		n.busy = slices.DeleteFunc(n.busy, func(o *wire) bool { return o == w })
	}
	if w.guest != nil {
		n.sent++
	}
	n.grace.sample(n.now.Sub(n.askedAt[piece]))
	if n.has[piece] {
		n.twice++
	} else {
		n.has[piece] = true
		if n.lacks--; n.lacks == 0 {
			n.took = n.now.Sub(n.begun)
		}
		n.tellOf(piece)
	}
	n.request(w)
}

// review is what the nodes do by the clock.
func (s *simulation) review() {
	for _, w := range s.seeder.out { // showing.review does it in no order
		w.tell(s.seeder.show.fill(w.guest, s.now))
	}
	for _, n := range s.hosts {
		if n.lacks > 0 && len(n.out) < enoughNeighbours {
			s.announce(n)
		}
		for _, w := range n.in {
			n.request(w)
		}
	}
}
