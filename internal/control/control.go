// Package control is what the seeder, its peers and the command line say to
// each other: the control API's paths, requests, answers and errors, and the
// client that speaks them.
//
// It owns the words, the client, and what all servers of it check alike. The
// seeder owns the server.
package control

import (
	"time"

	"crow/internal/release"
)

// Paths of the control API below the seeder's URL. A {part} is replaced.
const (
	PathBlobs      = "/v1/blobs"                               // POST: upload an artifact; answers Blob
	PathReleases   = "/v1/releases"                            // POST CreateRelease, GET [?app=]; answer Release, []Release
	PathSignatures = "/v1/releases/{app}/{version}/signatures" // POST AddSignatures; answers Release
	PathTorrents   = "/v1/torrents/{digest}"                   // GET: the torrent of an artifact's SHA-256, bencoded
	PathDeploys    = "/v1/deploys"                             // POST CreateDeploy; answers DeployStatus
	PathDeploy     = "/v1/deploys/{id}"                        // GET [?after=REV&wait=D]: an id, or an app for its newest; answers DeployStatus
	PathSteer      = "/v1/deploys/{id}/steer"                  // POST Steer; answers DeployStatus
	PathPlan       = "/v1/plans"                               // POST PlanDeploy: what it would do; answers DeployPlan
	PathKeyed      = "/v1/keyed"                               // POST CreateDeploy: the deploy that began with its idempotency key; answers DeployStatus
	PathApp        = "/v1/apps/{app}"                          // GET: who runs what of it; answers AppStatus
	PathRelease    = "/v1/releases/{app}/{version}"            // DELETE [?dry_run=true]; answers Removed
	PathHosts      = "/v1/hosts"                               // GET [?target=EXPR...]; answers []Host
	PathForget     = "/v1/hosts/{name}/forget"                 // POST: remove a host that is gone from the books; answers Host
	PathHost       = "/v1/hosts/{name}"                        // PUT Hello; answers Welcome. DELETE [?boot=]: the host says goodbye; answers nothing
	PathLimits     = "/v1/limits"                              // POST ChangeHostLimits; answers []Host: those that it is for
	PathUplink     = "/v1/limits/seeder"                       // POST ChangeLimits, GET; answer Limits: the seeder's own
	PathGossipKey  = "/v1/gossip/key"                          // POST RotateGossipKey; answers GossipRotation
	PathHistory    = "/v1/history"                             // GET [?app=&limit=N]; answers []HistoryEntry, newest first; GET ?verify=true answers HistoryCheck
	PathOrders     = "/v1/orders"                              // GET ?host=NAME&after=REV&epoch=E&wait=D; answers Orders
	PathReports    = "/v1/reports"                             // POST Report; answers Receipt
	PathOrigin     = "/blobs/{digest}"                         // GET with ranges: the artifact of that SHA-256
)

// Limits of what either side reads, in bytes unless it says otherwise.
const (
	MaxBodyLen    = 4 << 20          // any JSON document
	MaxTorrentLen = 16 << 20         // a torrent: 131,072 pieces of 32 bytes, and room
	MaxTailLen    = 8 << 10          // of a hook's output in a report
	MaxReasonLen  = 1 << 10          // of a failure's reason
	MaxWait       = 60 * time.Second // the longest a call is held open
	MaxLabels     = 32               // labels of one host
	MaxApps       = 256              // apps of one host
)

// MaxJobs bounds the jobs in one report. A host has up to three of an app: the
// one that its order stands for, one that still runs for an older order, and the
// last result before them.
const MaxJobs = 3 * MaxApps

// Blob is what the seeder found an uploaded artifact to be.
type Blob struct {
	SHA256      release.Digest `json:"sha256"`
	Size        int64          `json:"size"` // bytes
	Format      release.Format `json:"format"`
	InfoHash    release.Digest `json:"infohash"`
	PieceLength int64          `json:"piece_length"` // bytes
}

// Manifest describes a release of the artifact, the app's counter-th.
func (b Blob) Manifest(ref release.Ref, counter uint64, created time.Time) release.Manifest {
	return release.Manifest{
		Schema: release.ManifestSchema, App: ref.App, Version: ref.Version, Counter: counter,
		SHA256: b.SHA256, Size: b.Size, Format: b.Format, InfoHash: b.InfoHash, PieceLength: b.PieceLength,
		Created: created.UTC().Truncate(time.Second),
	}
}

// BlobOf is the artifact as a manifest describes it.
func BlobOf(m release.Manifest) Blob {
	return Blob{SHA256: m.SHA256, Size: m.Size, Format: m.Format, InfoHash: m.InfoHash, PieceLength: m.PieceLength}
}

// CreateRelease asks for a release of an artifact that was uploaded. The
// manifest is the caller's own, who signs it: the seeder refuses what its copy
// contradicts, and a counter that another of the app's releases has.
type CreateRelease struct {
	Manifest release.Manifest `json:"manifest"`
	// Signatures are minisign's, each a file's text, over the manifest's encoding.
	// The seeder stores them; who may sign is for hosts to say.
	Signatures []string `json:"signatures,omitempty"`
}

// AddSignatures adds to the signatures of a release that exists, so that several
// people can vouch for it.
type AddSignatures struct {
	Signatures []string `json:"signatures"`
}

// Release is one release in the catalog.
type Release struct {
	release.Manifest
	Signatures []string `json:"signatures,omitempty"`
	Existed    bool     `json:"existed,omitempty"` // the call found it there, with the same content
}

// Rollback is a statement that lets hosts go back to an older release, and the
// signatures over its encoding.
type Rollback struct {
	Statement  release.Rollback `json:"statement"`
	Signatures []string         `json:"signatures,omitempty"`
}

// Hello is a host's word on itself, sent when it starts and whenever the
// seeder does not know it.
type Hello struct {
	Boot      string         `json:"boot"`       // random, new with each start of the agent
	Address   string         `json:"address"`    // IP that neighbours reach it at
	SwarmPort uint16         `json:"swarm_port"` // TCP
	Labels    release.Labels `json:"labels"`
	Apps      []string       `json:"apps"` // that its config names; "*" is any
	Crow      string         `json:"crow"` // its crow's version
}

// Welcome answers a Hello.
type Welcome struct {
	Epoch string `json:"epoch"` // of the seeder, new with each of its starts
}

// Host is one host of the fleet as the seeder knows it.
type Host struct {
	Name     string            `json:"name"`
	Address  string            `json:"address"`
	State    HostState         `json:"state"`
	Labels   release.Labels    `json:"labels"`
	Apps     []string          `json:"apps"`
	Running  map[string]string `json:"running"`        // app to live version, as last reported
	LastSeen time.Time         `json:"last_seen"`      // by the control API
	Free     *int64            `json:"free,omitempty"` // bytes of disk, as last reported
	Crow     string            `json:"crow"`
	Limits   *Limits           `json:"limits"` // in effect, as last reported; null: it has not said
	Wanted   WantedLimits      `json:"limits_ordered"`
	// CertExpires is when the certificate ends that the host last called with.
	CertExpires time.Time `json:"cert_expires,omitzero"`
}

// Goal is how far a host takes a release.
type Goal string

// The goals. GoalFetch ends with the release staged.
const (
	GoalFetch    Goal = "fetch"
	GoalActivate Goal = "activate"
)

// Order is what a host should have of one app. It is desired state: the same
// order twice changes nothing.
type Order struct {
	Deploy     string           `json:"deploy"`
	Manifest   release.Manifest `json:"manifest"`
	Signatures []string         `json:"signatures,omitempty"` // of the manifest
	Rollback   *Rollback        `json:"rollback,omitempty"`
	Goal       Goal             `json:"goal"`
	// Attempt grows when the host is to try again what has failed there.
	Attempt int `json:"attempt,omitempty"`
}

// Orders are all of a host's orders, at most one for each app.
type Orders struct {
	Epoch    string   `json:"epoch"`
	Revision uint64   `json:"revision"` // for the next GET ?after=; counts within an epoch
	Orders   []Order  `json:"orders"`
	Trackers []string `json:"trackers"` // announce URLs
	// Limits are what the host's transfers are ordered to keep to; null: the
	// seeder knows of no such orders.
	Limits *WantedLimits `json:"limits,omitempty"`
	// GossipKeys are those that the host's gossip is to have, in base64, the one to
	// send with first; none: those of its config.
	GossipKeys []string `json:"gossip_keys,omitempty"`
}

// Report is all that a host has to say: its live versions and where it stands
// with each of its orders. The newest report replaces all earlier ones; Boot
// and Seq tell which that is.
type Report struct {
	Host    string            `json:"host"`
	Boot    string            `json:"boot"`
	Seq     uint64            `json:"seq"`
	Running map[string]string `json:"running"` // app to live version
	Jobs    []JobReport       `json:"jobs"`
	// Staged are the versions of each app that are unpacked on the host, and can go
	// live without a byte moved.
	Staged map[string][]string `json:"staged,omitempty"`
	Free   *int64              `json:"free,omitempty"` // bytes, on data_dir's disk, within the host's own budget
	// Limits are those in effect. They are told to a seeder whose orders have
	// Limits: an older one refuses a report with a field that it does not know.
	Limits *Limits `json:"limits,omitempty"`
}

// JobReport is where a host stands with one order.
type JobReport struct {
	Deploy       string        `json:"deploy"`
	App          string        `json:"app"`
	Version      string        `json:"version"`
	Phase        release.Phase `json:"phase"`
	Reason       string        `json:"reason,omitempty"`
	Bytes        release.Bytes `json:"bytes"`
	FetchSeconds float64       `json:"fetch_seconds"`
	StageSeconds float64       `json:"stage_seconds"`
	Hook         *HookResult   `json:"hook,omitempty"`
	Check        *HookResult   `json:"check,omitempty"`     // of the app's health check
	Attempt      int           `json:"attempt,omitempty"`   // the order's
	Rate         int64         `json:"rate,omitempty"`      // bytes per second, while it fetches
	Unchanged    bool          `json:"unchanged,omitempty"` // the host had it live already and did nothing
	Refused      bool          `json:"refused,omitempty"`   // the failure's cause: the host does not trust the release
	CutOff       string        `json:"cut_off,omitempty"`   // neighbours that sent it bad pieces, and were cut off; up to MaxReasonLen bytes
}

// Receipt answers a report.
type Receipt struct {
	Epoch string `json:"epoch"`
	// NextMillis is how long to wait before the next report of mere progress,
	// in milliseconds; a change of phase is reported at once.
	NextMillis int64 `json:"next_millis"`
}
