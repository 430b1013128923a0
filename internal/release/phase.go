package release

import "fmt"

// Phase is where one host stands in one deploy.
type Phase uint8

// A host moves down this list; Failed can follow every phase but Active.
const (
	Pending    Phase = iota // has not begun
	Fetching                // bytes are on their way
	Verified                // the whole artifact's SHA-256 was checked
	Staged                  // unpacked or placed, synced, not live
	Activating              // current is swapped, the hook runs
	Active                  // the hook exited 0, or there is none
	Failed                  // with a reason
)

var phaseNames = [...]string{"pending", "fetching", "verified", "staged", "activating", "active", "failed"}

// String is the phase's name in reports.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// Ended reports whether the host needs nothing more to be done by itself.
func (p Phase) Ended() bool { return p == Active || p == Failed }

// CanFollow reports whether a job in phase from may move to p. A job may skip
// phases, as when the host already has the release, but never goes back: what
// starts again is a new job.
func (p Phase) CanFollow(from Phase) bool { return !from.Ended() && p > from && p <= Failed }

// MarshalText implements encoding.TextMarshaler.
func (p Phase) MarshalText() ([]byte, error) { return marshalName(phaseNames[:], uint8(p), "phase") }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Phase) UnmarshalText(b []byte) error {
	i, err := unmarshalName(phaseNames[:], b, "phase")
	*p = Phase(i)
	return err
}

// DeployPhase is where a whole deploy stands.
type DeployPhase uint8

// The phases of a deploy. All but DeployRunning and DeployPaused are final.
const (
	DeployRunning DeployPhase = iota
	DeploySucceeded
	DeployFailed
	DeployAborted
	DeploySuperseded
	DeployPaused
)

var deployPhaseNames = [...]string{"running", "succeeded", "failed", "aborted", "superseded", "paused"}

// String is the deploy phase's name in status documents.
func (p DeployPhase) String() string {
	if int(p) < len(deployPhaseNames) {
		return deployPhaseNames[p]
	}
	return fmt.Sprintf("deploy phase(%d)", uint8(p))
}

// Ended reports whether the deploy's result stands.
func (p DeployPhase) Ended() bool { return p != DeployRunning && p != DeployPaused }

// MarshalText implements encoding.TextMarshaler.
func (p DeployPhase) MarshalText() ([]byte, error) {
	return marshalName(deployPhaseNames[:], uint8(p), "deploy phase")
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *DeployPhase) UnmarshalText(b []byte) error {
	i, err := unmarshalName(deployPhaseNames[:], b, "deploy phase")
	*p = DeployPhase(i)
	return err
}
