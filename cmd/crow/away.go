package main

import (
	"context"
	"slices"
	"time"

	"crow/internal/control"
)

// awayIn says of a deploy's hosts which are not reachable. Gossip knows that
// within seconds, the deploy makes it a reason only after much longer, and until
// then its row would look as if the host were at work. A fleet that cannot be
// listed costs the notes alone, and documents for scripts have the deploy only.
func (s *session) awayIn(ctx context.Context, c *control.Client, st control.DeployStatus) map[string]string {
	if s.output != outputText || st.Phase.Ended() || !slices.ContainsFunc(st.Hosts, isUnexplained) {
		return nil
	}
	hosts, err := c.Hosts(ctx, nil)
	if err != nil {
		s.note("which hosts are reachable is not known: %s", oneLine(textOf(err)))
		return nil
	}
	return awayOf(hosts, time.Now())
}

// isUnexplained reports whether a host has yet to finish and nothing says why it
// has not.
func isUnexplained(h control.HostStatus) bool { return h.Reason == "" && !h.Phase.Ended() }

// awayOf words, by name, since when hosts are away.
func awayOf(hosts []control.Host, now time.Time) map[string]string {
	away := map[string]string{}
	for _, h := range hosts {
		switch h.State {
		case control.HostFailed:
			away[h.Name] = "not reachable: " + lastHeard(h, now)
		case control.HostLeft:
			away[h.Name] = "not reachable: its agent was stopped, " + lastHeard(h, now)
		}
	}
	return away
}

func lastHeard(h control.Host, now time.Time) string {
	if h.LastSeen.IsZero() {
		return "never heard"
	}
	return "last heard " + ago(h.LastSeen, now)
}
