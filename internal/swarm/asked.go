package swarm

import "sync/atomic"

// maxAsked bounds the requests of one neighbour that have no answer yet. The client
// keeps 1,024 and rejects more, but it keeps its rejects until they are taken, and
// a neighbour that reads nothing takes none.
const maxAsked = 4096

// asked counts them.
type asked struct {
	open atomic.Int32
	fast bool // a request that is taken back is answered too (BEP 6)
}

// more notes a request, or that one is taken back. It is false once there are too
// many.
func (a *asked) more(kind byte) bool {
	if kind == frameRequest {
		return a.open.Add(1) <= maxAsked
	}
	if !a.fast {
		a.answered()
	}
	return true
}

// answered notes a piece or a reject. What was taken back and answered nevertheless
// counts twice, which must not be an allowance for others.
func (a *asked) answered() {
	for {
		n := a.open.Load()
		if n <= 0 || a.open.CompareAndSwap(n, n-1) {
			return
		}
	}
}
