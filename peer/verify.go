package peer

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"crow/internal/release"
	"crow/peer/admin"
)

// verification reads all that the host has of an app, or of all, hashes and
// compares it, and mends what it can.
type verification struct {
	*host
	mendLive bool
	say      func(admin.Checked)
	releases []stagedRelease
	digests  []release.Digest
	ordered  map[release.Digest]bool
	whole    map[release.Digest]bool // verified in the cache
	done     int
}

// stagedRelease is one to verify.
type stagedRelease struct {
	placed
	app string
}

func (r stagedRelease) name() string { return admin.RefName(r.app, r.Version) }

// verify calls say with what became of each artifact and each release, of one app
// or of all if that is empty.
func (h *host) verify(ctx context.Context, app string, mendLive bool, say func(admin.Checked)) error {
	v := &verification{host: h, mendLive: mendLive, say: say, ordered: map[release.Digest]bool{}, whole: map[release.Digest]bool{}}
	if err := v.list(ctx, app); err != nil {
		return err
	}
	for _, d := range v.digests {
		state, detail, err := v.artifact(ctx, d)
		if err != nil {
			return err
		}
		v.tell(admin.Artifact, d.String(), state, detail)
	}
	for _, r := range v.releases {
		state, detail, err := v.release(ctx, r)
		if err != nil {
			return err
		}
		v.tell(admin.Release, r.name(), state, detail)
	}
	return nil
}

func (v *verification) tell(kind admin.Kind, name string, state admin.State, detail string) {
	v.done++
	v.say(admin.Checked{Kind: kind, Name: name, State: state, Detail: detail, Done: v.done, Of: len(v.digests) + len(v.releases)})
}

// list finds out what there is to verify.
func (v *verification) list(ctx context.Context, app string) error {
	all := map[release.Digest]bool{}
	err := v.ask(ctx, func(a *agent) {
		for name, s := range a.slots {
			if s.order != nil {
				v.ordered[s.order.Manifest.SHA256] = true
			}
			if app != "" && name != app {
				continue
			}
			for _, p := range s.rec.Staged {
				all[p.SHA256] = true
				v.releases = append(v.releases, stagedRelease{placed: p, app: name})
			}
		}
	})
	if err != nil {
		return err
	}
	if app != "" && len(v.releases) == 0 {
		return fmt.Errorf("this host has no release of app %q", app)
	}
	if app == "" {
		whole, _, err := v.cache.list()
		if err != nil {
			return err
		}
		for _, d := range whole {
			all[d] = true
		}
	}
	v.digests = slices.SortedFunc(maps.Keys(all), func(a, b release.Digest) int { return bytes.Compare(a[:], b[:]) })
	slices.SortFunc(v.releases, func(a, b stagedRelease) int { return strings.Compare(a.name(), b.name()) })
	return nil
}

// meanwhile is the detail of what goes while other things are verified: that takes
// long, and deploys go on.
const meanwhile = "it was removed meanwhile"

// artifact hashes a cached artifact, whatever it looked like before. One that is
// damaged, or gone, is fetched again if a release needs it.
func (v *verification) artifact(ctx context.Context, d release.Digest) (admin.State, string, error) {
	defer v.cache.hold(d)()
	unlock, err := v.cache.lock(ctx, d)
	if err != nil {
		return "", "", err
	}
	defer unlock()
	if !v.cache.isThere(d) {
		if !v.cache.isNeeded(d) {
			return admin.Unknown, meanwhile, nil
		}
		return v.replace(ctx, d, "it was gone")
	}
	watched, beat, stop := watch(ctx, v.timing.stall, errDiskSilent)
	ok, err := v.cache.rehash(watched, d, beat)
	stop()
	switch {
	case ctx.Err() != nil:
		return "", "", context.Cause(ctx)
	case err != nil:
		return admin.Unknown, err.Error(), nil
	case ok:
		v.whole[d] = true
		return admin.OK, "", nil
	case !v.cache.isNeeded(d):
		return admin.Mended, "it was damaged, and was removed: no release needs it", nil
	}
	return v.replace(ctx, d, "it was damaged")
}

// replace fetches an artifact again. The caller has its turn.
func (v *verification) replace(ctx context.Context, d release.Digest, was string) (admin.State, string, error) {
	err := v.refetch(ctx, d)
	switch {
	case ctx.Err() != nil:
		return "", "", context.Cause(ctx)
	case err != nil:
		return admin.Damaged, fmt.Sprintf("%s, and could not be fetched again: %s; a deploy of its release fetches it", was, err), nil
	}
	v.whole[d] = true
	return admin.Mended, was + ", and was fetched again", nil
}
