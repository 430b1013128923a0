package peer

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// maxResults is how many deploys' results a host remembers for each app. More
// than one is needed: when a newer deploy is aborted, an older one is in order
// again, and must not be tried twice.
const maxResults = 8

// record is what a host remembers of one app. The app's job owns it while one
// runs, the agent's loop otherwise.
type record struct {
	Good       *placed           `json:"good,omitempty"`       // the last release whose hook succeeded
	Previous   *placed           `json:"previous,omitempty"`   // the one before Good
	Broken     string            `json:"broken,omitempty"`     // the version whose activation was the last to fail, until one succeeds
	Activating *intent           `json:"activating,omitempty"` // set from before the link is swapped until the hook has ended
	Staged     map[string]placed `json:"staged,omitempty"`     // by version
	Placing    string            `json:"placing,omitempty"`    // the version whose folder is given its name; set until that is in Staged
	Fetched    *fetched          `json:"fetched,omitempty"`    // by a deploy that has no result yet
	Results    map[string]result `json:"results,omitempty"`    // by deploy
	Accepted   uint64            `json:"accepted,omitempty"`   // the highest counter of a release that was trusted here
	// AcceptedSHA256 is the digest of that release's manifest; zero in the
	// records of an earlier crow.
	AcceptedSHA256 release.Digest `json:"accepted_sha256,omitzero"`

	// current is the version that the link names. The link itself is the
	// truth: a kill can come between swapping it and writing it down.
	current string
	// unreadable says why the document could not be read; what it holds is not
	// known then, and it must not be written over.
	unreadable error
}

// placed is a release in its folder.
type placed struct {
	Version  string         `json:"version"`
	SHA256   release.Digest `json:"sha256"` // of the artifact, as the next two
	InfoHash release.Digest `json:"infohash,omitzero"`
	Size     int64          `json:"size,omitempty"` // in bytes
	Unpacked bool           `json:"unpacked"`
	Used     time.Time      `json:"used"` // when it was staged or set live
}

// is reports whether p is m's release. Records of an earlier crow know no
// infohash and no size.
func (p placed) is(m release.Manifest) bool {
	return p.Version == m.Version && p.SHA256 == m.SHA256 &&
		(p.InfoHash.IsZero() || p.InfoHash == m.InfoHash && p.Size == m.Size)
}

// lastLive reports whether m's release is what the host set live last, with success. It
// may be brought back where it was lost, although a newer one was accepted since, to be
// fetched alone, or the statement by which the host went back to it has expired.
func (r *record) lastLive(m release.Manifest) bool {
	return r.Good != nil && r.Good.is(m) && r.Broken == "" && r.Activating == nil
}

// intent is an activation that has begun.
type intent struct {
	Deploy  string `json:"deploy"`
	Version string `json:"version"`
}

// result is how far a deploy came here: active, failed, or staged.
type result struct {
	Report control.JobReport `json:"report"`
	At     time.Time         `json:"at"`
}

// isLive reports whether m's release is live here and its hook succeeded.
func (r record) isLive(m release.Manifest) bool {
	return r.Activating == nil && r.Broken != m.Version && r.Good != nil && r.Good.Version == r.current && r.Good.is(m)
}

// hasBegun reports whether an activation by the order has begun and not ended:
// one that a kill cut short goes on to its end, whatever the order's goal is now.
func (r record) hasBegun(o control.Order) bool {
	return r.Activating != nil && *r.Activating == intent{Deploy: o.Deploy, Version: o.Manifest.Version}
}

// before is the release that a hook for version is told as the previous one:
// the last that succeeded and is not that version.
func (r record) before(version string) placed {
	for _, p := range []*placed{r.Good, r.Previous} {
		if p != nil && p.Version != version {
			return *p
		}
	}
	return placed{}
}

// succeed makes p the release that is live and good.
func (r *record) succeed(p placed) {
	if r.Good != nil && r.Good.Version != p.Version {
		r.Previous = r.Good
	}
	r.Good, r.Activating, r.Broken = &p, nil, ""
	r.stage(p)
}

// stage remembers a release in its folder, as the one that was used last. The
// clock may have been set back since the others were.
func (r *record) stage(p placed) {
	if r.Staged == nil {
		r.Staged = map[string]placed{}
	}
	for version, other := range r.Staged {
		if version != p.Version {
			p.Used = after(p.Used, other.Used)
		}
	}
	r.Staged[p.Version], r.Placing = p, ""
}

// after is at, or the moment after before if the clock says otherwise.
func after(at, before time.Time) time.Time {
	if at.After(before) {
		return at
	}
	return before.Add(1)
}

// conclude remembers a deploy's result, as the newest, and forgets the oldest
// ones. A result that was forgotten at once, as the clock was set back, would have
// its deploy tried over and over.
func (r *record) conclude(report control.JobReport, at time.Time) {
	if r.Results == nil {
		r.Results = map[string]result{}
	}
	for deploy, other := range r.Results {
		if deploy != report.Deploy {
			at = after(at, other.At)
		}
	}
	r.Results[report.Deploy] = result{Report: report, At: at}
	if r.Fetched != nil && r.Fetched.Deploy == report.Deploy {
		r.Fetched = nil // the result has it; to another attempt it is this host's own
	}
	for len(r.Results) > maxResults {
		delete(r.Results, slices.MinFunc(slices.Collect(maps.Keys(r.Results)), func(a, b string) int {
			return r.Results[a].At.Compare(r.Results[b].At)
		}))
	}
}

// newestResult is the last result of a deploy other than the given one.
func (r record) newestResult(except string) (control.JobReport, bool) {
	var newest result
	for deploy, res := range r.Results {
		if deploy != except && res.At.After(newest.At) {
			newest = res
		}
	}
	return newest.Report, !newest.At.IsZero()
}

// clone copies the record, so that its owner can go on changing it.
func (r record) clone() record {
	r.Staged, r.Results = maps.Clone(r.Staged), maps.Clone(r.Results)
	return r
}

// surplus names the staged versions to remove so that keep of them stay: the
// longest unused ones, and never one that is live, good, previous or wanted.
func (r record) surplus(keep int, wanted ...string) []string {
	spared := map[string]bool{r.current: true}
	for _, version := range wanted {
		spared[version] = true
	}
	for _, p := range []*placed{r.Good, r.Previous} {
		if p != nil {
			spared[p.Version] = true
		}
	}
	newest := slices.SortedFunc(maps.Values(r.Staged), func(a, b placed) int {
		return cmp.Or(b.Used.Compare(a.Used), cmp.Compare(a.Version, b.Version))
	})
	for _, p := range newest {
		if spared[p.Version] {
			keep--
		}
	}
	var drop []string
	for _, p := range newest {
		switch {
		case spared[p.Version]:
		case keep > 0:
			keep--
		default:
			drop = append(drop, p.Version)
		}
	}
	return drop
}
