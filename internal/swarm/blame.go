package swarm

// blame finds out who is to blame for pieces that don't match their hash. Who alone
// sent one is. Of several nobody can tell, until the piece has come again and is
// right: then who sent a block that is now another one is. So nobody is found guilty
// for what others did. It is not safe for concurrent use.
//
// A piece that keeps failing, since a bad neighbour has a part in it each time, is
// put on trial: all that sent a part of it but one are to be kept away, so that it
// comes from others, or from that one alone. That proves nothing by itself.
type blame[S comparable] struct {
	under map[int]*account[S] // pieces that are incomplete, and have blocks
	trial int                 // the piece on trial; -1: none
	kept  int                 // failed tries in all accounts
}

// account is what is known of one piece.
type account[S comparable] struct {
	from  []S      // who sent each block this time; zero: nobody has yet
	tries []try[S] // that failed, with several senders; the last few
}

// try is a failed one: each block's sender, and a sum of its bytes.
type try[S comparable] struct {
	from []S
	sums []uint64
}

// Bounds of what is kept: 64 failed tries of at most 256 blocks take about 300 KiB.
const (
	maxTries      = 64 // of all pieces; more are forgotten
	maxPieceTries = 4  // of one piece
	// triesToTrial is how often a piece fails before it is put on trial. Most of the
	// time the second try is without whom the first one failed for.
	triesToTrial = 2
)

// verdict is what follows from a piece that failed or passed.
type verdict[S comparable] struct {
	guilty []S
	away   []S  // to be kept away too while the trial lasts
	ended  bool // the trial: whoever is away may come back
}

func newBlame[S comparable]() *blame[S] {
	return &blame[S]{under: map[int]*account[S]{}, trial: -1}
}

// received notes who sent a block of a piece, which has so many blocks.
func (b *blame[S]) received(piece, block, blocks int, from S) {
	a := b.under[piece]
	if a == nil {
		a = &account[S]{}
		b.under[piece] = a
	}
	if a.from == nil {
		a.from = make([]S, blocks)
	}
	if block >= 0 && block < len(a.from) {
		a.from[block] = from
	}
}

// failed judges a piece that does not match its hash. sums are of its blocks as
// they are; they are asked for if need be, and nil if they can't be had.
func (b *blame[S]) failed(piece int, sums func() []uint64) (v verdict[S]) {
	a := b.under[piece]
	if a == nil {
		return v
	}
	from := a.from
	a.from = nil
	senders, all := distinct(from)
	switch {
	case !all: // some of it was there before
	case len(senders) == 1:
		v.guilty = senders
	default:
		b.note(a, from, sums())
		if len(a.tries) >= triesToTrial && (b.trial < 0 || b.trial == piece) {
			b.trial, v.away = piece, senders[1:]
			return v
		}
	}
	v.ended = b.endTrial(piece)
	if len(a.tries) == 0 {
		delete(b.under, piece)
	}
	return v
}

// note keeps a failed try.
func (b *blame[S]) note(a *account[S], from []S, sums []uint64) {
	if len(sums) != len(from) {
		return
	}
	if len(a.tries) == maxPieceTries {
		a.tries = append(a.tries[:0], a.tries[1:]...)
		b.kept--
	}
	if b.kept < maxTries {
		a.tries = append(a.tries, try[S]{from, sums})
		b.kept++
	}
}

// passed judges by a piece that matches its hash, as failed does.
func (b *blame[S]) passed(piece int, sums func() []uint64) (v verdict[S]) {
	a := b.under[piece]
	if a == nil {
		return v
	}
	delete(b.under, piece)
	v.ended = b.endTrial(piece)
	if len(a.tries) == 0 {
		return v
	}
	b.kept -= len(a.tries)
	right := sums()
	for _, t := range a.tries {
		if len(t.sums) == len(right) {
			v.guilty = append(v.guilty, t.liars(right)...)
		}
	}
	return v
}

// liars returns who sent a block that is not right, each once.
func (t try[S]) liars(right []uint64) []S {
	var bad []S
	for i, sum := range t.sums {
		if sum != right[i] {
			bad = append(bad, t.from[i])
		}
	}
	bad, _ = distinct(bad)
	return bad
}

// forget drops what was received of a piece: it could not be judged.
func (b *blame[S]) forget(piece int) {
	if a := b.under[piece]; a != nil {
		a.from = nil
	}
}

// endTrial tells whether a piece was on trial, which is then over.
func (b *blame[S]) endTrial(piece int) bool {
	if b.trial != piece {
		return false
	}
	b.trial = -1
	return true
}

// distinct returns each sender once, in the order of their first blocks, and
// whether there is one of each block.
func distinct[S comparable](from []S) (senders []S, all bool) {
	var nobody S
	all = true
	seen := map[S]bool{nobody: true}
	for _, s := range from {
		all = all && s != nobody
		if !seen[s] {
			seen[s] = true
			senders = append(senders, s)
		}
	}
	return senders, all && len(from) > 0
}
