package peer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"crow/internal/release"
	"crow/internal/store"
	"crow/peer/hook"
)

// Modes by which the group of a hook's user comes at what is closed to others.
const (
	lentMode    fs.FileMode = 0o711 // folders of apps, whose names are no secret
	lentAppMode fs.FileMode = 0o710 // of one app: the group may open what it was told of
	groupReads  fs.FileMode = 0o050 // added to a release's folder
)

// lend makes what the facts promise true for a hook of another user: that it can
// enter the folders of the release and of the one before, which an archive may
// have closed, and can read the artifact, which the cache is closed around. What
// is in a release keeps the modes that it was packed with.
func (j *job) lend(f *hook.Facts) error {
	gid, foreign, err := j.app.Limits.Group()
	if err != nil || !foreign {
		return err
	}
	for _, dir := range []string{f.ReleaseDir, f.PreviousDir} {
		if err := letIn(dir, gid); err != nil {
			return fmt.Errorf("let %s in: %w", j.app.Limits.User, err)
		}
	}
	if !j.app.Unpack {
		return nil // the artifact is in the release's folder
	}
	if f.Artifact, err = j.layout.lend(j.name(), f.Artifact, gid); err != nil {
		return fmt.Errorf("lend artifact to %s: %w", j.app.Limits.User, err)
	}
	return nil
}

// reopen lets the user of the hook into a folder that takes the place of the live
// release's, as it was let into that.
func (j *job) reopen(dir string) error {
	gid, foreign, err := j.app.Limits.Group()
	if err != nil || !foreign {
		return err
	}
	return letIn(dir, gid)
}

// letIn gives a folder, if one is named, to the group to look at.
func letIn(dir string, gid int) error {
	if dir == "" {
		return nil
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return errors.Join(os.Lchown(dir, -1, gid), os.Chmod(dir, info.Mode()|groupReads))
}

// lend gives a cached artifact a second name in a folder of the app's that the
// group may enter, and returns it. It is the same for the same artifact, so that a
// hook which outlived its agent keeps what it was told.
func (l layout) lend(app, cached string, gid int) (string, error) {
	dir := filepath.Join(l.lent(), app)
	for _, folder := range []struct {
		path string
		mode fs.FileMode
	}{{l.lent(), lentMode}, {dir, lentAppMode}} {
		if err := os.Mkdir(folder.path, stateMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		if err := os.Chmod(folder.path, folder.mode); err != nil {
			return "", err
		}
	}
	if err := os.Lchown(dir, -1, gid); err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.Base(cached))
	if sameFile(path, cached) {
		return path, nil
	}
	if err := store.RemoveIfThere(path); err != nil { // an earlier copy of it, found corrupt since
		return "", err
	}
	return path, os.Link(cached, path)
}

func sameFile(a, b string) bool {
	x, err := os.Lstat(a)
	y, err2 := os.Lstat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// takeBack is for when a hook has ended. What cannot be taken back is no failure
// of the deploy.
func (j *job) takeBack() {
	if err := os.RemoveAll(filepath.Join(j.layout.lent(), j.name())); err != nil {
		j.log.Warn("could not take back what the hook was lent", zap.Error(err))
	}
}

// tidyLent takes back what an earlier agent has lent to hooks that have ended: a
// hook that has not has its record.
func (l layout) tidyLent() error {
	apps, err := os.ReadDir(l.lent())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var trouble error
	for _, app := range apps {
		if _, err := os.Lstat(l.hook(app.Name())); errors.Is(err, fs.ErrNotExist) || release.ValidateApp(app.Name()) != nil {
			trouble = errors.Join(trouble, os.RemoveAll(filepath.Join(l.lent(), app.Name())))
		}
	}
	return trouble
}
