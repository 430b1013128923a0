package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// rank is where a host stands in a table: those that the deploy waits for first.
type rank int

const (
	waitedFor rank = iota
	hasFailed
	lateOnes // nobody waits for them
	isThere
)

func rankOf(h control.HostStatus, goal release.Phase) rank {
	switch {
	case h.Phase == release.Failed:
		return hasFailed
	case h.Phase >= goal:
		return isThere
	case h.Late:
		return lateOnes
	}
	return waitedFor
}

// slowestFirst orders a deploy's hosts: those that it waits for, the least advanced
// first; those that failed; the others by name.
func slowestFirst(st control.DeployStatus) []control.HostStatus {
	goal := fleetOf(st).goal()
	hosts := slices.Clone(st.Hosts)
	slices.SortStableFunc(hosts, func(a, b control.HostStatus) int {
		r := rankOf(a, goal)
		if d := cmp.Compare(r, rankOf(b, goal)); d != 0 {
			return d
		}
		if r != waitedFor && r != lateOnes {
			return cmp.Compare(a.Name, b.Name)
		}
		size := st.Artifact.Bytes
		return cmp.Or(cmp.Compare(a.Phase, b.Phase), cmp.Compare(usefulOf(a, size), usefulOf(b, size)),
			cmp.Compare(a.Rate, b.Rate), cmp.Compare(a.Name, b.Name))
	})
	return hosts
}

// thereShown is up to how many hosts that need nothing more are listed one by one:
// of a large fleet they would hide the others.
const thereShown = 20

// shownHosts are the hosts for a table, and how many more there are that need
// nothing more to be done.
func shownHosts(st control.DeployStatus, all bool) (shown []control.HostStatus, more int) {
	hosts, goal := slowestFirst(st), fleetOf(st).goal()
	first := slices.IndexFunc(hosts, func(h control.HostStatus) bool { return rankOf(h, goal) == isThere })
	if all || first < 0 || len(hosts)-first <= thereShown {
		return hosts, 0
	}
	return hosts[:first], len(hosts) - first
}

// stallShown is from when on a host in which nothing moves is said to be so: hosts
// report progress every few seconds.
const stallShown = 10 * time.Second

// progressOf is how far a host is that the deploy waits for, and where its bytes come
// from.
func (v deployView) progressOf(h control.HostStatus) string {
	if h.Moved.IsZero() || v.st.Phase.Ended() {
		return fetchedOf(h, v.st, "")
	}
	since := max(0, v.now.Sub(h.Moved))
	still := ""
	if since >= stallShown {
		still = since.Round(time.Second).String()
	}
	switch {
	case h.Phase == release.Activating:
		return goingLive(h, since)
	case still != "" && h.Phase == release.Verified:
		return "for " + still
	}
	return fetchedOf(h, v.st, still)
}

// goingLive is how long a host's hook has been at work, or the check after it, since it
// began to go live.
func goingLive(h control.HostStatus, since time.Duration) string {
	what := "hook or check" // an app may have a check alone
	if h.Hook != nil {
		what, since = "check", max(0, since-time.Duration(h.Hook.Seconds*float64(time.Second)))
	}
	return fmt.Sprintf("%s running for %s", what, since.Round(time.Second))
}

// fetchedOf is fetchOf of a host that fetches; empty of others.
func fetchedOf(h control.HostStatus, st control.DeployStatus, still string) string {
	if h.Phase != release.Fetching || st.Artifact.Bytes <= 0 {
		return ""
	}
	return fetchOf(h, st.Artifact.Bytes, still)
}

// fetchOf is how much of size bytes a host has, and how it gets the rest.
func fetchOf(h control.HostStatus, size int64, still string) string {
	note := fmt.Sprintf("%d%%", percent(usefulOf(h, size), size))
	if h.Rate > 0 {
		note += ", " + release.Rate(h.Rate).String()
	}
	if from := mainSource(h.Bytes); from != "" {
		note += ", mostly " + from
	}
	if still != "" {
		note += ", nothing moved for " + still
	}
	return note
}

// mainSource is where most of a host's bytes came from; empty without any.
func mainSource(b release.Bytes) string {
	from, most := "", int64(0)
	for _, s := range []struct {
		name  string
		bytes int64
	}{{"from peers", b.Peer}, {"from the seeder", b.Seeder + b.Origin}, {"local", b.Local}} {
		if s.bytes > most {
			from, most = s.name, s.bytes
		}
	}
	return from
}
