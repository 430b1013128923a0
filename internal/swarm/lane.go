package swarm

import "context"

// lane is one of those that share a limit. In a lane one pays at a time: a block that
// is paid for in turns with others is whole, and of use, later than it need be. Lanes
// pay by turns, slice by slice, so that each gets half if both want it.
type lane struct {
	limit  *limit
	paying chan struct{} // holds who pays
}

func newLane(l *limit) *lane { return &lane{l, make(chan struct{}, 1)} }

// pay waits until n bytes are within the limit, if there is one, or done is closed:
// then it is false.
func (l *lane) pay(n int, done <-chan struct{}) bool {
	if !l.limit.on() {
		return true
	}
	select {
	case l.paying <- struct{}{}:
	case <-done:
		return false
	}
	defer func() { <-l.paying }()
	return l.limit.pay(n, done)
}

// AwaitUpload waits until n bytes that leave the node beside the swarm are within the
// upload limit, of which they get half if the swarm wants all. It returns ctx's error
// if that ends first.
func (s *Swarm) AwaitUpload(ctx context.Context, n int) error {
	if !s.limits.other.pay(n, ctx.Done()) {
		return ctx.Err()
	}
	return nil
}
