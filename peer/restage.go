package peer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"crow/internal/control"
	"crow/internal/release"
	"crow/peer/admin"
	"crow/peer/stage"
)

// maxShown bounds the differences that one result names.
const maxShown = 3

// release compares a staged release with its artifact, and builds it again if it
// differs; a live one only if that is asked for.
func (v *verification) release(ctx context.Context, r stagedRelease) (admin.State, string, error) {
	if r.Unpacked && !v.whole[r.SHA256] {
		return admin.Unknown, "its artifact is not there to compare it with", nil
	}
	watched, beat, stop := watch(ctx, v.timing.stall, errDiskSilent)
	differs, err := v.differs(watched, r, beat)
	stop()
	there := len(differs) == 0
	if !there && err == nil {
		err = v.ask(ctx, func(a *agent) { there = a.hasStaged(r) })
	}
	switch {
	case ctx.Err() != nil:
		return "", "", context.Cause(ctx)
	case err != nil:
		return admin.Unknown, err.Error(), nil
	case !there:
		return admin.Unknown, meanwhile, nil
	case len(differs) == 0:
		return admin.OK, "", nil
	}
	detail := shown(differs)
	if !v.whole[r.SHA256] {
		return admin.Damaged, detail + "; its artifact is not there to mend it with", nil
	}
	if v.layout.current(r.app) == r.Version && !v.mendLive {
		return admin.Damaged, detail + "; it is live and was left alone: crow peer verify " + r.app + " --mend-live puts its files back, or roll back", nil
	}
	return v.restage(ctx, r, detail)
}

// differs says how a release differs from its artifact.
func (v *verification) differs(ctx context.Context, r stagedRelease, beat func()) ([]string, error) {
	dir := v.layout.release(r.app, r.Version)
	if !isFolder(dir) {
		return []string{"its folder is missing"}, nil
	}
	if !r.Unpacked {
		path := filepath.Join(dir, artifactName)
		if v.whole[r.SHA256] && sameFile(path, v.cache.path(r.SHA256)) {
			return nil, nil
		}
		err := v.cache.check(ctx, r.SHA256, path, sha256.New(), 0, beat)
		if wrong := (*digestError)(nil); errors.As(err, &wrong) || errors.Is(err, os.ErrNotExist) {
			return []string{err.Error()}, nil
		}
		return nil, err
	}
	f, err := os.Open(v.cache.path(r.SHA256))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	format, err := stage.Sniff(f)
	if err != nil {
		return nil, err
	}
	return stage.Compare(ctx, &beating{ctx, f, beat}, format, dir, stage.DefaultLimits())
}

// hasStaged reports whether a release is still what it was.
func (a *agent) hasStaged(r stagedRelease) bool {
	s := a.slots[r.app]
	if s == nil {
		return false
	}
	now, ok := s.rec.Staged[r.Version]
	return ok && now.SHA256 == r.SHA256 && now.Unpacked == r.Unpacked
}

func shown(differs []string) string {
	if more := len(differs) - maxShown; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(differs[:maxShown], "; "), more)
	}
	return strings.Join(differs, "; ")
}

// restage builds a release's folder again, with the record of its app in hand, so
// that no job is at it.
func (v *verification) restage(ctx context.Context, r stagedRelease, detail string) (admin.State, string, error) {
	var ended chan struct{}
	var trouble error
	there := false
	err := v.ask(ctx, func(a *agent) {
		if there = a.hasStaged(r); there {
			ended = a.chore(r.app, func(rec *record) { trouble = v.rebuild(ctx, r, *rec) })
		}
	})
	switch {
	case err != nil:
		return "", "", err
	case !there:
		return admin.Unknown, meanwhile, nil
	case ended == nil:
		return admin.Damaged, detail + "; a deploy of the app is under way: try again after it", nil
	}
	if err := wait(ctx, ended, &trouble); err != nil {
		if ctx.Err() != nil {
			return "", "", context.Cause(ctx)
		}
		return admin.Damaged, detail + "; it could not be staged again: " + err.Error(), nil
	}
	return admin.Mended, detail + "; it was staged again", nil
}

// rebuild is what a job does to stage a release, without its order.
func (v *verification) rebuild(ctx context.Context, r stagedRelease, rec record) error {
	f, err := os.Open(v.cache.path(r.SHA256))
	if err != nil {
		return err
	}
	format, sniffErr := stage.Sniff(f)
	info, statErr := f.Stat()
	f.Close()
	if err := errors.Join(sniffErr, statErr); err != nil {
		return err
	}
	m := release.Manifest{App: r.app, Version: r.Version, SHA256: r.SHA256, Size: info.Size(), Format: format}
	j := newJob(v.host, control.Order{Manifest: m}, rec, control.JobReport{}, nil)
	j.app.Unpack = r.Unpacked
	if !r.Unpacked && isFolder(v.layout.release(r.app, r.Version)) {
		return j.relink(ctx)
	}
	if err := v.disk.claim(r.app, claim{staging: stage.Estimate(format, m.Size, r.Unpacked)}); err != nil {
		return err
	}
	defer v.disk.letGo(r.app)
	return j.build(ctx)
}
