package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"crow/internal/release"
	"crow/internal/store"
	"crow/peer/stage"
)

// artifactName is the file of a release that is not unpacked, in its folder.
const artifactName = "artifact"

// Modes of what hooks and services of other users read.
const (
	folderMode   = 0o755
	artifactMode = 0o555 // a binary can be run from where it lies
	stateMode    = 0o700 // of what is nobody else's business
)

// tempMark is in the names of folders under construction or removal:
// .<version>.tmp-<random>. No release can be called so.
const tempMark = ".tmp-"

// stage builds the release's folder beside the live one: in a temporary folder
// that is synced and then renamed, so that a folder with a version's name is
// always whole. The step that follows writes it down; after a kill before that
// the folder is built again, as the record says whose it is.
func (j *job) stage(ctx context.Context) error {
	if j.isStaged() {
		j.enter(release.Staged)
		return nil
	}
	began := time.Now()
	if err := j.claim(ctx, claim{}); err != nil {
		return at(stepStage, err)
	}
	if err := os.MkdirAll(j.layout.app(j.name()), folderMode); err != nil {
		return at(stepStage, store.Explain(err))
	}
	if err := j.build(ctx); err != nil {
		return at(stepStage, err)
	}
	j.rec.stage(j.placed())
	j.report.StageSeconds = time.Since(began).Seconds()
	j.enter(release.Staged)
	j.log.Info("release staged", zap.Int64("bytes", j.order.Manifest.Size), zap.Duration("took", time.Since(began)))
	return nil
}

// placed describes the ordered release as it is staged now.
func (j *job) placed() placed {
	m := j.order.Manifest
	return placed{Version: m.Version, SHA256: m.SHA256, InfoHash: m.InfoHash, Size: m.Size, Unpacked: j.app.Unpack, Used: time.Now()}
}

// isStaged reports whether the folder is there, whole and of the right bytes.
// A file that was not unpacked must be the cached one, which was verified.
func (j *job) isStaged() bool {
	p, ok := j.rec.Staged[j.version()]
	dir := j.layout.release(j.name(), j.version())
	if !ok || !isFolder(dir) || p.SHA256 != j.order.Manifest.SHA256 || p.Unpacked != j.app.Unpack {
		return false
	}
	return p.Unpacked || j.isLinked(dir)
}

func (j *job) isLinked(dir string) bool {
	cached, err := os.Lstat(j.cache.path(j.order.Manifest.SHA256))
	staged, err2 := os.Lstat(filepath.Join(dir, artifactName))
	return err == nil && err2 == nil && os.SameFile(cached, staged)
}

func (j *job) build(ctx context.Context) (err error) {
	tmp, err := os.MkdirTemp(j.layout.app(j.name()), "."+j.version()+tempMark)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stage.Remove(tmp))
		}
	}()
	if err := os.Chmod(tmp, folderMode); err != nil {
		return err
	}
	if err := j.fill(ctx, tmp); err != nil {
		return err
	}
	if j.rec.current == j.version() { // what its hook started goes on in there
		if err := j.reopen(tmp); err != nil {
			return err
		}
	}
	if err := stage.Sync(tmp); err != nil {
		return err
	}
	return j.place(tmp)
}

// fill puts the release into an empty folder.
func (j *job) fill(ctx context.Context, dir string) error {
	m := j.order.Manifest
	if !j.app.Unpack {
		return j.link(filepath.Join(dir, artifactName))
	}
	f, err := os.Open(j.cache.path(m.SHA256))
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, beat, stop := watch(ctx, j.timing.stall, func() error {
		return fmt.Errorf("stalled: unpacking made no headway for %s", j.timing.stall)
	})
	defer stop()
	limits := stage.DefaultLimits()
	limits.Room = func(bytes int64) error { return j.disk.take(j.name(), bytes) }
	return stage.Unpack(ctx, &beating{ctx, f, beat}, m.Format, dir, limits)
}

// link gives the cached artifact another name: a copy without its bytes.
func (j *job) link(path string) error {
	cached := j.cache.path(j.order.Manifest.SHA256)
	return errors.Join(os.Link(cached, path), os.Chmod(cached, artifactMode))
}

// place gives a finished folder its version's name. What has that name is no
// whole release of these bytes, or isStaged would have found it; it may be live all
// the same, so the two change places in one step where the file system can.
func (j *job) place(tmp string) error {
	if err := j.notePlacing(); err != nil {
		return err
	}
	app, dir := j.layout.app(j.name()), j.layout.release(j.name(), j.version())
	err := unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if err == nil {
		return errors.Join(store.SyncFolder(app), stage.Remove(tmp))
	}
	if err := aside(app, j.version()); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return store.SyncFolder(app)
}

// notePlacing writes down that a folder of that name is crow's, before it is.
func (j *job) notePlacing() error {
	if _, staged := j.rec.Staged[j.version()]; staged {
		return nil
	}
	j.rec.Placing = j.version()
	return j.save()
}

// relink makes a live release that is a file the cached one again, after the
// cache's was found corrupt and fetched anew.
func (j *job) relink(context.Context) error {
	dir := j.layout.release(j.name(), j.version())
	if j.rec.Staged[j.version()].Unpacked || j.isLinked(dir) {
		return nil
	}
	tmp := filepath.Join(dir, "."+artifactName+tempMark)
	if err := errors.Join(store.RemoveIfThere(tmp), j.link(tmp)); err != nil {
		return err
	}
	return errors.Join(os.Rename(tmp, filepath.Join(dir, artifactName)), store.SyncFolder(dir))
}

// aside renames a version's folder, if there is one, into a temporary one, so
// that it is gone in one step however large it is.
func aside(app, version string) error {
	tmp, err := os.MkdirTemp(app, "."+version+tempMark)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(app, version), filepath.Join(tmp, version)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.Remove(tmp))
	}
	return stage.Remove(tmp)
}

// isTemp reports whether crow gave that name to something temporary: a dot, a
// version or the link's name, the mark, and what os.MkdirTemp puts behind it.
func isTemp(name string) bool {
	name, dotted := strings.CutPrefix(name, ".")
	i := strings.LastIndex(name, tempMark)
	if !dotted || i < 0 || name[:i] != release.CurrentLink && release.ValidateVersion(name[:i]) != nil {
		return false
	}
	random := name[i+len(tempMark):]
	_, err := strconv.ParseUint(random, 10, 64)
	return random == "" || err == nil
}
