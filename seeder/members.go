package seeder

import (
	"context"
	"time"

	"crow/internal/control"
	"crow/internal/gossip"
)

// recount is how often all members are gone through. Events are quicker, but
// some may be lost.
const recount = 10 * time.Second

// hostStates are gossip's words in those of the control API.
var hostStates = map[gossip.State]control.HostState{
	gossip.Alive: control.HostAlive, gossip.Failed: control.HostFailed, gossip.Left: control.HostLeft,
}

// listen tells the ledger what gossip knows of hosts, until ctx ends.
func (s *Seeder) listen(ctx context.Context) error {
	tick := time.NewTicker(recount)
	defer tick.Stop()
	events := s.gossip.Events()
	for {
		select {
		case e, ok := <-events:
			switch {
			case !ok:
				events = nil // gossip has ended; so will ctx
			case e.Kind != gossip.Woken:
				s.observe(ctx, []gossip.Member{e.Member})
			}
		case <-tick.C:
			s.observe(ctx, s.gossip.Members())
		case <-ctx.Done():
			return nil
		}
	}
}

// observe fails only when the seeder stops.
func (s *Seeder) observe(ctx context.Context, members []gossip.Member) {
	_ = tell(ctx, s.ledger, func(b *books, _ time.Time) error {
		for _, m := range members {
			if m.Role() == gossip.RolePeer {
				b.fleet.gossiped(m.Name, hostStates[m.State])
			}
		}
		return nil
	})
}
