package peer

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
	"crow/internal/store"
	"crow/peer/hook"
)

// linkTemp is the name under which the new link is made before it replaces the
// old one.
const linkTemp = "." + release.CurrentLink + tempMark

// reasonAgain is told while a release is set live that an earlier life began with.
const reasonAgain = "it goes live once more, hook included: the agent ended while it was at it"

// activate sets the staged release live: it writes down that it will, swaps the
// link, runs the hook and writes down the result. A kill at any point leaves a
// record by which the next life does what is missing; only the hook may so run
// twice.
func (j *job) activate(life context.Context) error {
	began := time.Now()
	if j.rec.hasBegun(j.order) {
		j.report.Reason = reasonAgain
		j.log.Warn("release is set live once more: the agent ended while it was at it")
	}
	j.rec.Activating = &intent{Deploy: j.order.Deploy, Version: j.version()}
	if err := j.save(); err != nil {
		return at(stepActivate, err)
	}
	j.enter(release.Activating)
	if err := swap(j.layout.app(j.name()), j.version()); err != nil {
		return at(stepActivate, err)
	}
	j.rec.current = j.version()
	if err := j.runHook(life); err != nil {
		return err
	}
	j.rec.succeed(j.placed())
	j.report.Reason = ""
	final := j.report
	final.Phase = release.Active
	j.rec.conclude(final, time.Now())
	if err := j.save(); err != nil {
		return at(stepActivate, err)
	}
	j.enter(release.Active)
	j.log.Info("release is live", zap.Duration("took", time.Since(began)))
	return nil
}

// swap makes the app's link name a version, in one rename.
func swap(app, version string) error {
	tmp := filepath.Join(app, linkTemp)
	if err := store.RemoveIfThere(tmp); err != nil {
		return err
	}
	if err := os.Symlink(version, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(app, release.CurrentLink)); err != nil {
		return err
	}
	return store.SyncFolder(app)
}

func (j *job) facts() hook.Facts {
	f := hook.Facts{
		App: j.name(), Version: j.version(), ReleaseDir: j.layout.release(j.name(), j.version()),
		Artifact: j.cache.path(j.order.Manifest.SHA256), Deploy: j.order.Deploy, Host: j.cfg.Name,
	}
	if !j.app.Unpack {
		f.Artifact = filepath.Join(f.ReleaseDir, artifactName)
	}
	if before := j.rec.before(j.version()); before.Version != "" {
		f.PreviousVersion = before.Version
		if dir := j.layout.release(j.name(), before.Version); isFolder(dir) {
			f.PreviousDir = dir
		}
	}
	return f
}

func isFolder(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}
