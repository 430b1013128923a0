package seeder

import (
	"cmp"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// plan is what a deploy was asked to do: the document deploys/<id>, written
// once, before the request is answered.
type plan struct {
	ID       string           `json:"id"`
	Seq      uint64           `json:"seq"` // grows with each deploy: the order in which they were asked for
	Manifest release.Manifest `json:"manifest"`
	// Signatures are those that the release had when the deploy began.
	Signatures []string          `json:"signatures,omitempty"`
	Rollback   *control.Rollback `json:"rollback,omitempty"`
	Selector   release.Selector  `json:"selector"`
	Hosts      []string          `json:"hosts"` // the hosts that count, sorted, as they were when it began
	Started    time.Time         `json:"started"`
}

// result is how far a deploy came: the document results/<id>, written at its
// end, and every few seconds before while something changes.
type result struct {
	Phase    release.DeployPhase `json:"phase"`
	Reason   string              `json:"reason"`
	Finished *time.Time          `json:"finished"`
	Sent     int64               `json:"sent"` // bytes, by the seeder, over the swarm
	Rows     []row               `json:"rows"` // sorted by name; nil in memory, where deploy.rows has them
}

// deploy is one deploy in the books.
type deploy struct {
	plan
	result
	rows     map[string]*row // nil while they are only on disk
	orders   int             // hosts whose order this deploy is
	activate int             // of plan.Hosts, how many may go live
	waiting  int             // of plan.Hosts, how many have not reported an end

	sample int64     // swarm.Sent when Sent was last brought up to date
	judged time.Time // when silent hosts were last judged
	saved  time.Time // when the result was last written
	dirty  bool      // the result changed since

	watch watch
}

// counts reports whether the deploy's end depends on the host.
func (d *deploy) counts(host string) bool {
	_, ok := slices.BinarySearch(d.Hosts, host)
	return ok
}

// isFor reports whether the deploy is for a host: one that it counts, or one
// that its selector matches, whenever that was born.
func (d *deploy) isFor(h *host) bool {
	return d.Phase != release.DeployAborted && (d.counts(h.Name) || d.Selector.Match(h.Name, h.Labels))
}

// goal is how far a host may take the deploy. A late host has no place in the
// order of activation: it may do what all others may.
func (d *deploy) goal(host string) control.Goal {
	if i, ok := slices.BinarySearch(d.Hosts, host); ok {
		return goalOf(i, d.activate)
	}
	return goalOf(len(d.Hosts)-1, d.activate)
}

// order is the deploy as a host is given it.
func (d *deploy) order(host string) control.Order {
	return control.Order{Deploy: d.ID, Manifest: d.Manifest, Signatures: d.Signatures, Rollback: d.Rollback, Goal: d.goal(host)}
}

func (d *deploy) sortedRows() []row {
	rows := make([]row, 0, len(d.rows))
	for _, r := range d.rows {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}
