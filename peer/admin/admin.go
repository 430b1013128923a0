// Package admin is what crow peer gc and crow peer verify and the agent of the
// same host say to each other: the words, the socket, and the client.
//
// The socket lies in the agent's state folder, which is closed to all but the
// agent's own user: who can reach it may do what it does anyway. What is done is
// the agent's.
package admin

import (
	"errors"

	"crow/internal/release"
)

// Paths of the calls.
const (
	PathClear  = "/v1/clear"  // POST [?dry_run=true]; answers Cleared
	PathVerify = "/v1/verify" // POST [?app=&mend_live=true]; answers Checked, one a line, as they come
)

// ErrNoAgent says that no agent answers on the socket.
var ErrNoAgent = errors.New("no agent runs")

// Kind says what a thing on disk is.
type Kind string

// The kinds.
const (
	Artifact Kind = "artifact" // in the cache; its name is its SHA-256
	Release  Kind = "release"  // staged; its name is APP@VERSION
	Leftover Kind = "leftover" // of what was cut short; its name is APP/NAME
)

// Schema is the version of the documents that commands print.
const Schema = 1

// Cleared is what a clearing removed, or would.
type Cleared struct {
	Schema  int      `json:"schema"`
	DryRun  bool     `json:"dry_run"`
	Removed []Item   `json:"removed"`
	Bytes   int64    `json:"bytes"` // of disk that this freed
	Busy    []string `json:"busy"`  // apps that were passed over, as a deploy is under way
	// Trouble is what could not be cleared, and why; all else was.
	Trouble []Trouble `json:"trouble,omitempty"`
}

// Trouble is why an app, or the cache, could not be cleared.
type Trouble struct {
	App   string `json:"app,omitempty"` // empty: the cache
	Error string `json:"error"`
}

// Item is one thing that was removed.
type Item struct {
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // of disk; what has another name still counts with that
}

// Checked is one thing that was verified.
type Checked struct {
	Kind  Kind   `json:"kind"` // Artifact or Release
	Name  string `json:"name"`
	State State  `json:"state"`
	// Detail says what is damaged and what to do, or why it is not known; for people.
	Detail string `json:"detail,omitempty"`
	Done   int    `json:"-"` // how many have been verified, this one included
	Of     int    `json:"-"` // of how many
}

// State is what became of a thing that was verified.
type State string

// The states.
const (
	OK      State = "ok"
	Mended  State = "mended"  // it was damaged, and is whole again
	Damaged State = "damaged" // it is, and stays so
	Unknown State = "unknown" // there is nothing to compare it with, or somebody is at it
)

// RefName is the name of a release.
func RefName(app, version string) string { return release.Ref{App: app, Version: version}.String() }
