package control

import (
	"time"

	"crow/internal/release"
)

// CreateDeploy asks for a deploy. Without targets it takes those of the app's
// last deploy, but not its excludes: only those given here hold.
type CreateDeploy struct {
	release.Ref
	release.Selector
	release.Rollout
	// Rollback is needed for hosts that have accepted a newer release.
	Rollback *Rollback `json:"rollback,omitempty"`
	// Fallback names the release that on_failure rollback goes back to, and lets
	// hosts do so.
	Fallback *Rollback `json:"fallback,omitempty"`
	// Key is the caller's own name for this deploy, up to MaxKeyLen printable bytes. A
	// call with a key that the app had before, which is remembered for at least a day,
	// gets the deploy that it began; if it asks for anything else, it is CodeRefused.
	Key string `json:"idempotency_key,omitempty"`
}

// Artifact is a release's content, as status documents name it.
type Artifact struct {
	SHA256 release.Digest `json:"sha256"`
	Bytes  int64          `json:"bytes"`
}

// StatusSchema is the version of DeployStatus.
const StatusSchema = 1

// DeployStatus is a deploy as scripts read it: the contract of crow status
// --output json. Fields are only ever added.
type DeployStatus struct {
	Schema          int                 `json:"schema"`
	Deploy          string              `json:"deploy"`
	App             string              `json:"app"`
	Version         string              `json:"version"`
	Phase           release.DeployPhase `json:"phase"`
	Reason          string              `json:"reason"` // why it ended or waits, for people; may be empty
	Artifact        Artifact            `json:"artifact"`
	Target          release.Selector    `json:"target"`
	Rollout         release.Rollout     `json:"rollout"`
	Rollback        bool                `json:"rollback,omitempty"`  // by a statement that lets hosts go back, which is not here
	Waves           []WaveStatus        `json:"waves"`               // at least one
	PausedBy        string              `json:"paused_by,omitempty"` // while it is paused: PausedByFailures or PausedByOperator
	WaitsFor        string              `json:"waits_for"`           // what has to happen for the deploy to go on, for people; empty once it ended
	Fallback        string              `json:"fallback,omitempty"`  // the deploy that brings the previous release back, after a failure
	Key             string              `json:"idempotency_key,omitempty"`
	Started         time.Time           `json:"started"`
	Finished        *time.Time          `json:"finished"` // null while it runs
	Hosts           []HostStatus        `json:"hosts"`
	SeederBytesSent int64               `json:"seeder_bytes_sent"` // over the swarm, protocol overhead not counted
	Revision        uint64              `json:"revision"`          // grows with each change; for GET ?after=
}

// What pauses a deploy.
const (
	PausedByFailures = "failures" // over the limit
	PausedByOperator = "operator"
)

// HostStatus is one host in a deploy.
type HostStatus struct {
	Name         string        `json:"name"`
	Zone         string        `json:"zone"`
	Phase        release.Phase `json:"phase"`
	Reason       string        `json:"reason"` // of a failure or an oddity; may be empty
	Bytes        release.Bytes `json:"bytes"`
	FetchSeconds float64       `json:"fetch_seconds"`
	StageSeconds float64       `json:"stage_seconds"`
	Hook         *HookResult   `json:"hook"`                   // null until the hook has run, and where there is none
	Check        *HookResult   `json:"check,omitempty"`        // of the app's health check, after the hook
	Wave         int           `json:"wave"`                   // counted from 1; 0 of a late host
	Attempt      int           `json:"attempt,omitempty"`      // how often it was told to try again
	Earlier      release.Bytes `json:"earlier_bytes,omitzero"` // of the attempts before this one, together: bytes are this one's
	Rate         int64         `json:"rate,omitempty"`         // bytes per second, while it fetches
	Moved        time.Time     `json:"moved,omitzero"`         // when its phase or bytes last changed, by the seeder's clock
	Unchanged    bool          `json:"unchanged"`
	Refused      bool          `json:"refused,omitempty"` // failed because the host does not trust the release
	CutOff       string        `json:"cut_off,omitempty"` // neighbours that sent it bad pieces, and were cut off
	Late         bool          `json:"late"`              // joined after the deploy began: not counted
}

// AllBytes counts over all attempts. What one finds there that those before it brought
// is not there from before the deploy.
func (h HostStatus) AllBytes() release.Bytes {
	all := h.Earlier.Add(h.Bytes)
	all.Local -= min(h.Bytes.Local, max(0, h.Earlier.Useful()))
	return all
}

// HookResult is how a deploy hook ended.
type HookResult struct {
	Exit    int     `json:"exit"` // -1 when a signal ended it
	Seconds float64 `json:"seconds"`
	Tail    string  `json:"tail"` // the last MaxTailLen bytes of its output
}

// WaveStatus is one wave of a deploy.
type WaveStatus struct {
	Hosts   int         `json:"hosts"`
	Active  int         `json:"active"`
	Failed  int         `json:"failed"`
	State   WaveState   `json:"state"`
	Outcome WaveOutcome `json:"outcome,omitempty"` // what it came to, once the deploy has ended; empty too where nobody was to go live
}

// WaveState says whether a wave's hosts may go live.
type WaveState string

// The states of a wave.
const (
	WaveWaiting WaveState = "waiting" // its hosts fetch
	WaveOpen    WaveState = "open"
	WaveEnded   WaveState = "ended" // its hosts are active or have failed
)

// WaveOutcome says what a wave came to in a deploy that has ended: nothing waits there,
// whatever the wave's state is.
type WaveOutcome string

// The outcomes of a wave.
const (
	OutcomeEnded      WaveOutcome = "ended"       // its hosts are active or have failed
	OutcomeUnfinished WaveOutcome = "unfinished"  // its hosts could go live, and some have not
	OutcomeNotReached WaveOutcome = "not_reached" // its hosts never could
)

// MaxKeyLen bounds an idempotency key, in bytes.
const MaxKeyLen = 128

// Verb is what Steer does to a deploy.
type Verb string

// The verbs. Done twice each is the same as once.
const (
	VerbPause  Verb = "pause"  // nobody else goes live; fetching goes on
	VerbResume Verb = "resume" // go on, and count no failure from before
	VerbAbort  Verb = "abort"  // end it: who has not gone live yet never does
	VerbRetry  Verb = "retry"  // hosts that failed try again, and the deploy goes on
)

// Steer changes the course of a deploy.
type Steer struct {
	Verb       Verb `json:"verb"`
	FailedOnly bool `json:"failed_only,omitempty"` // of a retry: nobody but those that failed
}

// PlanDeploy asks what a deploy would do.
type PlanDeploy struct {
	CreateDeploy
	// Artifact is the build that a release would be made of which does not exist yet;
	// of one that exists what is stored counts.
	Artifact *Artifact      `json:"artifact,omitempty"`
	Format   release.Format `json:"format,omitzero"` // of that build
}

// DeployPlan is what a deploy would do, if it were asked for now.
type DeployPlan struct {
	App      string            `json:"app"`
	Version  string            `json:"version"`
	Target   release.Selector  `json:"target"`
	Rollout  release.Rollout   `json:"rollout"`
	Artifact Artifact          `json:"artifact"`
	Waves    []int             `json:"waves"`              // hosts in each
	Hosts    []PlannedHost     `json:"hosts"`              // by wave, then name
	Bytes    int64             `json:"bytes"`              // to move, to all hosts together
	Changes  bool              `json:"changes"`            // some host would be brought to another release
	Running  string            `json:"running,omitempty"`  // the deploy that it would supersede
	Same     string            `json:"same,omitempty"`     // the running or paused deploy that it would be
	Previous *release.Manifest `json:"previous,omitempty"` // what on_failure rollback would go back to
}

// PlannedHost is what a deploy would do to one host.
type PlannedHost struct {
	Name    string    `json:"name"`
	Zone    string    `json:"zone"`
	Wave    int       `json:"wave"` // counted from 1
	State   HostState `json:"state"`
	Running string    `json:"running"`           // the app's live version; empty: none
	Bytes   int64     `json:"bytes"`             // to fetch: 0 where the release is staged
	Disk    int64     `json:"disk"`              // bytes that staging needs at least
	Unpacks int64     `json:"unpacks,omitempty"` // bytes that it may need beyond that, if the host's config has the app unpacked
	Free    *int64    `json:"free"`              // bytes on its disk, as last reported; null: it has not said
	Refuses string    `json:"refuses,omitempty"` // why it would not do it
}

// AppStatus is who runs what of an app, and why not what is wanted.
type AppStatus struct {
	App   string    `json:"app"`
	Hosts []AppHost `json:"hosts"` // that run it or should, by name
}

// AppHost is one host in AppStatus.
type AppHost struct {
	Name    string     `json:"name"`
	Running string     `json:"running"`         // version; empty: none
	Since   *time.Time `json:"since"`           // when the seeder first heard so; null: not known
	Wanted  string     `json:"wanted"`          // version; empty: no deploy is for it
	Deploy  string     `json:"deploy"`          // that wants it
	Drift   string     `json:"drift,omitempty"` // why it does not run what is wanted; empty: it does
}

// Removed is a release that is gone, or would be.
type Removed struct {
	Release release.Ref `json:"release"`
	Bytes   int64       `json:"bytes"` // of disk that its artifact took; 0: another release has the same
}
