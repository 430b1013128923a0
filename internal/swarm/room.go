package swarm

import (
	"sync"
	"time"
)

// room is the places that a node has for neighbours, shared by its transfers: each
// gets what it asks for as long as there are any, and then a fair part.
type room struct {
	all, each int // neighbours at most: of the node, of one transfer

	mu       sync.Mutex // guards what follows
	held     map[*neighbour]struct{}
	dialling int
}

// maxKnocks is how many neighbours are dialled at once while all places are taken.
// Someone yields only when one of them has answered.
const maxKnocks = 4

func newRoom(role Role) *room {
	all := maxPeerConns
	if role == RoleSeeder {
		all = maxSeederConns
	}
	return &room{all: all, each: maxConns(role), held: map[*neighbour]struct{}{}}
}

// enter gives a place to a neighbour that has greeted. Of those that have one it
// may have to take another's, whose connection the caller then ends. ok is false if
// there is none.
func (r *room) enter(p *neighbour, now time.Time) (out *neighbour, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) >= r.all || r.of(p.to) >= r.each {
		if out = r.yields(p.to, now); out == nil {
			return nil, false
		}
		delete(r.held, out)
	}
	r.held[p] = struct{}{}
	return out, true
}

func (r *room) leave(p *neighbour) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, p)
}

// dial tells whether a transfer may dial one more neighbour. done, which may be
// called twice, is for when that one has greeted or the attempt has failed.
func (r *room) dial(t *transfer, now time.Time) (done func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	full := len(r.held)+r.dialling >= r.all || r.of(t) >= r.each
	if full && (r.dialling >= maxKnocks || r.yields(t, now) == nil) {
		return nil, false
	}
	r.dialling++
	return sync.OnceFunc(r.dialled), true
}

// full tells that there is a place only if someone yields.
func (r *room) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held) >= r.all
}

func (r *room) dialled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dialling--
}

// of needs r.mu. It is how many neighbours a transfer has.
func (r *room) of(t *transfer) (n int) {
	for p := range r.held {
		if p.to == t {
			n++
		}
	}
	return n
}

// yields needs r.mu. It returns whose place a neighbour of t would get, or nil.
func (r *room) yields(t *transfer, now time.Time) *neighbour {
	var all []*neighbour
	var places []place
	own := r.of(t) >= r.each // then it can only have another one of its own
	for p := range r.held {
		if !own || p.to == t {
			all = append(all, p)
			places = append(places, place{of: p.to, seeding: p.to.complete(), since: p.since, moved: time.Unix(0, p.moved.Load())})
		}
	}
	if i, ok := nextToYield(places, t, t.complete(), now); ok {
		return all[i]
	}
	return nil
}

// letIn gives the neighbour a place, if need be that of another one.
func (p *neighbour) letIn() bool {
	out, ok := p.to.swarm.room.enter(p, time.Now())
	if out != nil {
		out.conn.Close() // whose reader sees it next
	}
	return ok
}
