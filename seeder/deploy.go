package seeder

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
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
	Rollout    release.Rollout   `json:"rollout,omitzero"`
	Turns      []int             `json:"turns,omitempty"` // Hosts, as indexes, in the order in which they go live; none: as they stand
	// Fallback is where hosts are to go back to if the deploy fails.
	Fallback *control.Rollback `json:"fallback,omitempty"`
	// For is the failed deploy that this one is the fallback of.
	For     string    `json:"for,omitempty"`
	Key     string    `json:"key,omitempty"` // idempotency key
	Started time.Time `json:"started"`
}

// validate checks a plan that was read: what decides goes by its hosts and turns without
// looking twice.
func (p plan) validate(id string) error {
	if p.ID != id || len(p.Hosts) == 0 {
		return errors.New("it is not the plan of that deploy")
	}
	for i, name := range p.Hosts {
		if err := release.ValidateHost(name); err != nil {
			return err
		}
		if i > 0 && name <= p.Hosts[i-1] {
			return fmt.Errorf("host %s stands after %s: want each once, sorted", name, p.Hosts[i-1])
		}
	}
	return cmp.Or(p.Manifest.Validate(), p.Selector.Validate(), p.Rollout.Validate(), validateTurns(p.Turns, len(p.Hosts)))
}

// validateTurns wants each of n hosts to have one turn. Plans of an earlier crow have none.
func validateTurns(turns []int, n int) error {
	if len(turns) == 0 {
		return nil
	}
	if len(turns) != n {
		return fmt.Errorf("%d turns of %d hosts", len(turns), n)
	}
	seen := make([]bool, n)
	for _, i := range turns {
		if i < 0 || i >= n || seen[i] {
			return fmt.Errorf("turn of host %d of %d: want each host once", i, n)
		}
		seen[i] = true
	}
	return nil
}

// validate checks a result that was read, as far as decisions go on from it.
func (r result) validate() error {
	if c := r.Course; c.Wave < 0 || c.Forgiven < 0 || r.Sent < 0 {
		return fmt.Errorf("wave %d, %d failures forgiven, %d bytes sent: want none below zero", c.Wave, c.Forgiven, r.Sent)
	}
	return nil
}

// result is how far a deploy came: the document results/<id>, written at its
// end, and every few seconds before while something changes.
type result struct {
	Phase    release.DeployPhase `json:"phase"`
	Reason   string              `json:"reason"`
	Finished *time.Time          `json:"finished"`
	Course   rollout.Course      `json:"course,omitzero"`
	Keys     []string            `json:"keys,omitempty"`      // of an earlier crow: idempotency keys of those who asked for the same while it ran
	FellBack string              `json:"fell_back,omitempty"` // to the previous release, by that deploy
	LetAll   *bool               `json:"let_all,omitempty"`   // of one that has ended: every host had had its turn, or missed it; nil: of an earlier crow
	Sent     int64               `json:"sent"`                // bytes, by the seeder, over the swarm
	Rows     []rollout.Row       `json:"rows"`                // sorted by name; nil in memory, where deploy.rows has them
}

// deploy is one deploy in the books.
type deploy struct {
	plan
	result
	program rollout.Program
	rows    map[string]*rollout.Row // nil while they are only on disk
	got     map[string]bool         // while they are, of a deploy that ended early: hosts that went live
	open    map[string]bool         // while they are: hosts that had not said how they ended
	orders  int                     // hosts whose order this deploy is
	may     []bool                  // of plan.Hosts, who may go live while it goes on
	letAll  bool                    // every host has had its turn to go live, or missed it
	waits   string                  // what has to happen for it to go on
	waiting int                     // of plan.Hosts, how many have not reported an end
	stale   bool                    // something was reported since it was judged

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

// order is the deploy as a host is given it.
func (d *deploy) order(h *host) control.Order {
	o := control.Order{Deploy: d.ID, Manifest: d.Manifest, Signatures: d.Signatures, Rollback: d.Rollback, Goal: control.GoalFetch}
	if d.lets(h) {
		o.Goal = control.GoalActivate
	}
	if r := d.rows[h.Name]; r != nil {
		o.Attempt = r.Attempt
	}
	return o
}

func (d *deploy) sortedRows() []rollout.Row {
	rows := make([]rollout.Row, 0, len(d.rows))
	for _, r := range d.rows {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b rollout.Row) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}

// programOf is the deploy's program.
func programOf(p plan, pace pace) rollout.Program {
	turns := p.Turns
	if len(turns) == 0 { // of an earlier crow
		turns = make([]int, len(p.Hosts))
		for i := range turns {
			turns[i] = i
		}
	}
	return rollout.Program{
		Rollout: p.Rollout, Turns: turns, WaveEnds: p.Rollout.Ends(len(p.Hosts)),
		Grace: pace.grace, Knock: min(pace.knock, pace.grace), Limit: pace.deadline, Onward: p.For != "",
	}
}
