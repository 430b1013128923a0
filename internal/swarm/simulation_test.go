package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anacrolix/torrent"
)

// A whole swarm without sockets and clocks: links that share their rate evenly
// among what they carry, hosts that request rarest first, as the library does,
// and the decisions of this package as they are: showing, uplink, outbox,
// holdings, grace. A piece is one block. What it gives is the same in each run.
const (
	blockTime     = 21 * time.Millisecond // of 128 KiB at 50 Mbit/s
	ticksPerBlock = 8
	simTick       = blockTime / ticksPerBlock
	// Pieces that a host has asked one neighbour for. The library's window
	// follows what arrives.
	simWindow = 4
)

type simulation struct {
	now    time.Time
	rng    *rand.Rand
	pieces int
	seeder *simNode
	hosts  []*simNode
	loads  []*wire // with a block on its way
	sent   float64 // blocks, by the seeder
	twice  int     // blocks that arrived where they were held
}

// simNode is the seeder or a host.
type simNode struct {
	sim       *simulation
	rate      float64 // blocks a tick, each way
	has       []bool
	lacks     int
	begun     time.Time
	took      time.Duration
	order     []int   // of the pieces, where they are equally rare
	asked     []*wire // whom each piece was last asked of
	askedAt   []time.Time
	in, out   []*wire // from and to the same neighbours
	held      holdings
	turn      int
	up        *uplink
	show      *showing // on the seeder
	grace     *grace
	upShare   float64 // what follows is of one tick
	downShare float64
	upLeft    float64
	downLeft  float64
	ups       int
	downs     int
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
	flight   []simBlock // the first is on its way, the second in the kernel behind it
	slot     bool       // held
	since    time.Time
}

type simBlock struct {
	piece int
	left  float64 // of it
}

// inKernel is the part of a block that the kernel takes before it is sent: the
// write returns, and the slot is free.
const inKernel = float64(unsentLen) / requestSize

func newSimulation(seed uint64, hosts, pieces int) *simulation {
	s := &simulation{now: at(0), rng: rand.New(rand.NewPCG(seed, 0)), pieces: pieces}
	s.seeder = s.newNode()
	s.seeder.show = newShowing(pieces)
	for range hosts {
		s.join()
	}
	return s
}

func (s *simulation) join() *simNode {
	n := s.newNode()
	s.hosts = append(s.hosts, n)
	s.announce(n)
	return n
}

func (s *simulation) newNode() *simNode {
	return &simNode{
		sim: s, rate: 1.0 / ticksPerBlock, has: make([]bool, s.pieces), lacks: s.pieces, begun: s.now,
		order: s.rng.Perm(s.pieces), asked: make([]*wire, s.pieces), askedAt: make([]time.Time, s.pieces),
		held: make(holdings, s.pieces), up: newUplink(uploadSlots),
		grace: &grace{config: &torrent.ClientConfig{StealRequestGrace: firstGrace}},
	}
}

// announce has a host dial some of what a tracker hands it: hosts that announced
// before, and the seeder, but not to each.
func (s *simulation) announce(n *simNode) {
	var others []*simNode
	if s.rng.IntN(len(s.hosts)) < maxPeerConns {
		others = append(others, s.seeder)
	}
	others = append(others, s.hosts...)
	s.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	dials := 0
	for _, o := range others {
		known := slices.ContainsFunc(n.out, func(w *wire) bool { return w.to == o })
		if o == n || known || dials == dialledNeighbours || len(n.out) >= enoughNeighbours {
			continue
		}
		dials++
		if o == s.seeder && len(o.out) < maxSeederConns || o != s.seeder && len(o.out) < maxPeerConns {
			s.connect(o, n)
		}
	}
}

func (s *simulation) connect(a, b *simNode) {
	for _, w := range []*wire{{from: a, to: b}, {from: b, to: a}} {
		w.tells, w.known, w.box = make([]bool, s.pieces), newPieceSet(s.pieces), newOutbox()
		w.from.out, w.to.in = append(w.from.out, w), append(w.to.in, w)
		for p, has := range w.from.has {
			if has {
				w.tell(p)
			}
		}
	}
	if a == s.seeder {
		w := a.out[len(a.out)-1]
		w.guest = a.show.newGuest(nil)
		for p, has := range b.has {
			if has {
				a.show.completed(w.guest, p, s.now)
			}
		}
		w.tell(a.show.join(w.guest, s.now)...)
	}
}

// leave has a host vanish.
func (s *simulation) leave(n *simNode) {
	s.hosts = slices.DeleteFunc(s.hosts, func(o *simNode) bool { return o == n })
	s.loads = slices.DeleteFunc(s.loads, func(w *wire) bool {
		if (w.from == n || w.to == n) && w.slot {
			w.giveBack()
		}
		return w.from == n || w.to == n
	})
	ends := func(w *wire) bool { return w.from == n || w.to == n }
	for _, w := range n.out {
		o := w.to
		o.held.leave(w.known)
		for _, back := range o.out {
			if back.to == n && back.guest != nil {
				o.show.leave(back.guest)
			}
		}
		o.up.waiting = slices.DeleteFunc(o.up.waiting, func(s *sender) bool { return slices.ContainsFunc(n.in, func(w *wire) bool { return w.sender == s }) })
		o.in, o.out = slices.DeleteFunc(o.in, ends), slices.DeleteFunc(o.out, ends)
		for p, asked := range o.asked {
			if asked == w {
				o.asked[p] = nil
			}
		}
		for _, w := range o.in {
			o.request(w)
		}
	}
}

// tell has the receiver know of pieces.
func (w *wire) tell(pieces ...int) {
	for _, p := range pieces {
		w.tells[p] = true
		w.to.held.add(w.known, p)
		if w.open < simWindow && w.to.mayAsk(w, p) {
			w.ask(p)
		}
	}
}

func (n *simNode) mayAsk(w *wire, piece int) bool {
	stale := n.asked[piece] != w && n.sim.now.Sub(n.askedAt[piece]) >= n.grace.config.StealRequestGrace
	return w.tells[piece] && !n.has[piece] && n != n.sim.seeder && (n.asked[piece] == nil || stale)
}

// request fills the window of what is asked of a neighbour, rarest first.
func (n *simNode) request(w *wire) {
	for w.open < simWindow {
		best := -1
		for _, p := range n.order {
			if n.mayAsk(w, p) && (best < 0 || n.held.of(p) < n.held.of(best)) {
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
	w.to.asked[piece], w.to.askedAt[piece] = w, w.from.sim.now
	if start, _ := w.box.put(pieceFrame(piece, "")); start {
		w.pump()
	}
}

// pump has the wire wait for a slot, unless it has nothing to send.
func (w *wire) pump() {
	if !w.box.rest() {
		w.sender = &sender{since: w.from.sim.now, turn: &w.from.turn, rarity: func() int { return w.box.rarity(w.from.held) }}
		w.from.up.waiting = append(w.from.up.waiting, w.sender)
	}
}

// grant gives away the slots that are free.
func (n *simNode) grant() {
	for n.up.free > 0 {
		i := nextToSend(n.up.waiting, n.sim.now)
		if i < 0 {
			return
		}
		s := n.up.waiting[i]
		n.up.waiting = slices.Delete(n.up.waiting, i, i+1)
		n.up.free--
		n.up.grants++
		n.turn = n.up.grants
		w := n.out[slices.IndexFunc(n.out, func(w *wire) bool { return w.sender == s })]
		frame, _ := w.box.take(n.held)
		w.sender, w.slot, w.since = nil, true, n.sim.now
		if w.flight = append(w.flight, simBlock{pieceOf(frame), 1}); len(w.flight) == 1 {
			n.sim.loads = append(n.sim.loads, w)
		}
	}
}

func (w *wire) giveBack() {
	up := w.from.up
	w.slot = false
	up.free++
	up.typical += (w.from.sim.now.Sub(w.since) - up.typical) / 16
}

// step lets one tick pass.
func (s *simulation) step() {
	nodes := append([]*simNode{s.seeder}, s.hosts...)
	for _, n := range nodes {
		n.grant()
		n.upLeft, n.downLeft = n.rate, n.rate
	}
	for range 3 { // what one end of a load leaves of its share goes to others
		s.flow(nodes)
	}
	before := s.now
	s.now = s.now.Add(simTick)
	if review := before.Sub(at(0)) / reviewPeriod; s.now.Sub(at(0))/reviewPeriod > review {
		s.review()
	}
	for _, w := range slices.Clone(s.loads) {
		switch left := w.flight[0].left; {
		case left < 1e-9:
			w.arrive()
		case w.slot && s.now.Sub(w.since) > w.from.up.patience():
			w.giveBack()
		}
		if len(w.flight) == 1 && w.sender == nil && w.flight[0].left <= inKernel {
			w.written()
		}
	}
}

// written is when the kernel has taken all of a block.
func (w *wire) written() {
	if w.slot {
		w.giveBack()
	}
	w.pump()
}

func (s *simulation) flow(nodes []*simNode) {
	for _, n := range nodes {
		n.ups, n.downs = 0, 0
	}
	busy := func(w *wire) bool { return w.flight[0].left > 0 && w.from.upLeft > 1e-9 && w.to.downLeft > 1e-9 }
	for _, w := range s.loads {
		if busy(w) {
			w.from.ups++
			w.to.downs++
		}
	}
	for _, n := range nodes {
		n.upShare, n.downShare = n.upLeft/float64(max(1, n.ups)), n.downLeft/float64(max(1, n.downs))
	}
	for _, w := range s.loads {
		if busy(w) {
			n := min(w.flight[0].left, w.from.upShare, w.to.downShare)
			w.flight[0].left -= n
			w.from.upLeft -= n
			w.to.downLeft -= n
			if w.from == s.seeder {
				s.sent += n
			}
		}
	}
}

func (w *wire) arrive() {
	n, s := w.to, w.to.sim
	piece := w.flight[0].piece
	w.open--
	if w.flight = w.flight[1:]; len(w.flight) == 0 {
		s.loads = slices.DeleteFunc(s.loads, func(o *wire) bool { return o == w })
	}
	n.grace.sample(s.now.Sub(n.askedAt[piece]))
	if n.has[piece] {
		s.twice++
	} else {
		n.has[piece] = true
		if n.lacks--; n.lacks == 0 {
			n.took = s.now.Sub(n.begun)
		}
		for _, out := range n.out {
			out.tell(piece)
		}
		if s.seeder != nil {
			for _, shown := range s.seeder.out {
				if shown.to == n {
					shown.tell(s.seeder.show.completed(shown.guest, piece, s.now)...)
				}
			}
		}
	}
	n.request(w)
}

// review is what the clocks of the nodes do.
func (s *simulation) review() {
	for _, w := range s.seeder.out {
		w.tell(s.seeder.show.fill(w.guest, s.now)...)
	}
	for _, n := range s.hosts {
		if n.lacks > 0 && len(n.out) < fewNeighbours {
			s.announce(n)
		}
		for _, w := range n.in {
			n.request(w)
		}
	}
}

func (s *simulation) run(until func() bool) {
	for !until() && s.now.Sub(at(0)) < 10*time.Duration(s.pieces)*blockTime {
		s.step()
	}
}

func (s *simulation) done() bool {
	return !slices.ContainsFunc(s.hosts, func(n *simNode) bool { return n.lacks > 0 })
}

func TestSimZZ(t *testing.T) {
	for _, c := range [][2]int{{1, 128}, {2, 128}, {16, 128}, {16, 256}, {16, 512}, {48, 256}} {
		for seed := range uint64(4) {
			s := newSimulation(seed, c[0], c[1])
			begun := time.Now()
			s.run(s.done)
			var took []time.Duration
			for _, n := range s.hosts {
				took = append(took, n.took)
			}
			slices.Sort(took)
			t1 := float64(time.Duration(s.pieces) * blockTime)
			conns := 0
			for _, n := range s.hosts {
				conns += len(n.out)
			}
			fmt.Printf("%v: makespan %.3f median %.3f, copies %.3f, twice %.4f, guests %d, conns %d grace %s %s\n", c, float64(took[len(took)-1])/t1, float64(took[len(took)/2])/t1, s.sent/float64(s.pieces), float64(s.twice)/float64(s.pieces*c[0]), len(s.seeder.out), conns/len(s.hosts), s.hosts[0].grace.config.StealRequestGrace, time.Since(begun))
		}
	}
}
