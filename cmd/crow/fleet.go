package main

import (
	"fmt"
	"strings"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// phases is the number of host phases.
const phases = int(release.Failed) + 1

// fleet is the one progress state of a deploy, from which every printer
// prints. Hosts that joined late are outside its counts, as they are outside
// the deploy's result.
type fleet struct {
	ref       release.Ref
	hosts     int
	in        [phases]int   // hosts by phase
	unchanged int           // hosts that had the release live already
	size      int64         // of the artifact, in bytes
	useful    int64         // bytes that the hosts have of hosts × size
	bytes     release.Bytes // over all attempts
	sent      int64         // by the seeder, in bytes
	fetchOnly bool          // it ends when all have it staged
	wave      string        // where it is, such as wave 2/3; empty without waves
	waits     []string      // for the next wave, and for what else
	away      []string      // hosts that are waited for and not reachable, by the seeder's word
}

// fleetOf sums a deploy's hosts up.
func fleetOf(st control.DeployStatus) fleet {
	f := fleet{
		ref: release.Ref{App: oneLine(st.App), Version: oneLine(st.Version)}, size: st.Artifact.Bytes, sent: st.SeederBytesSent,
		fetchOnly: st.Rollout.FetchOnly, wave: waveName(st), waits: waitsOf(st),
	}
	for _, h := range st.Hosts {
		if h.Late || int(h.Phase) >= phases {
			continue
		}
		f.hosts++
		f.in[h.Phase]++
		f.bytes = f.bytes.Add(h.AllBytes())
		if h.Unchanged {
			f.unchanged++
		}
		f.useful += usefulOf(h, f.size)
		if !h.Phase.Ended() && isAway(h) {
			f.away = append(f.away, oneLine(h.Name))
		}
	}
	return f
}

// isAway reports whether the seeder says that it cannot reach the host.
func isAway(h control.HostStatus) bool {
	return strings.Contains(h.Reason, "unreachable") || strings.Contains(h.Reason, "not reachable")
}

// someOf joins the first most of words, and counts the rest.
func someOf(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}

// usefulOf is how many of the artifact's bytes the host has. A host past
// fetching has them all, whatever it counted.
func usefulOf(h control.HostStatus, size int64) int64 {
	if h.Phase > release.Fetching && h.Phase != release.Failed {
		return size
	}
	return min(max(h.Bytes.Useful(), 0), size)
}

func (f fleet) active() int { return f.in[release.Active] }
func (f fleet) failed() int { return f.in[release.Failed] }

// reached are the hosts that are where the deploy brings them to.
func (f fleet) reached() int {
	if f.fetchOnly {
		return f.active() + f.in[release.Staged] + f.in[release.Activating]
	}
	return f.active()
}

// goal is where that is.
func (f fleet) goal() release.Phase {
	if f.fetchOnly {
		return release.Staged
	}
	return release.Active
}

// The fleet's bar: most of it is for fetching, the rest for staging and the
// hook, which tell nothing until they have ended.
const (
	fetchShare = 0.9
	barTotal   = 1000 // the bar's length in steps
)

// done is how much of the work is behind the fleet, from 0 to barTotal.
func (f fleet) done() int64 {
	if f.hosts == 0 {
		return 0
	}
	fetched := 0.0
	if f.size > 0 {
		fetched = float64(f.useful) / float64(f.size)
	}
	ended := float64(f.reached() + f.failed())
	return int64(barTotal * (fetchShare*fetched + (1-fetchShare)*ended) / float64(f.hosts))
}

// fromPeers is the share of what hosts received that came from other hosts, in
// percent; without anything received it is 0.
func (f fleet) fromPeers() int { return percent(f.bytes.Peer, f.bytes.Received()) }

func percent(part, whole int64) int {
	if whole <= 0 {
		return 0
	}
	return int(100 * float64(part) / float64(whole))
}

// counts is the state in words: hosts done of all, and what the others do.
func (f fleet) counts() string {
	words := []string{fmt.Sprintf("%d/%d hosts", f.reached(), f.hosts)}
	for _, p := range []release.Phase{release.Failed, release.Pending, release.Fetching, release.Verified, release.Staged, release.Activating} {
		if f.in[p] > 0 && p != f.goal() {
			words = append(words, fmt.Sprintf("%d %s", f.in[p], p))
		}
	}
	return strings.Join(words, ", ")
}

// traffic is the rate at which bytes arrive and where they come from; it is
// empty while nothing has arrived.
func (f fleet) traffic(rate float64) string {
	if f.bytes.Received() == 0 {
		return ""
	}
	return fmt.Sprintf("%s, %d%% from peers", release.Rate(rate), f.fromPeers())
}

// meter turns a growing count into a rate over the last meterWindow: long
// enough to be steady, short enough to follow.
type meter struct{ samples []sample }

type sample struct {
	at    time.Time
	count int64 // bytes
}

const meterWindow = 5 * time.Second

// add takes the count at a time and returns the rate in bytes a second.
func (m *meter) add(now time.Time, count int64) float64 {
	if n := len(m.samples); n > 0 && count < m.samples[n-1].count {
		m.samples = nil // a restarted seeder counts anew
	}
	m.samples = append(m.samples, sample{now, count})
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= meterWindow {
		m.samples = m.samples[1:]
	}
	passed := now.Sub(m.samples[0].at).Seconds()
	if passed <= 0 {
		return 0
	}
	return float64(count-m.samples[0].count) / passed
}
