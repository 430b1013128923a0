package peer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"crow/internal/release"
	"crow/peer/stage"
)

// retain removes the app's releases beyond those to keep, and what earlier
// lives left in its folder. Trouble with it is no failure of the deploy.
func (j *job) retain() {
	trouble := j.drop(j.name(), &j.rec, j.rec.surplus(int(j.app.Keep), j.version())...)
	if err := errors.Join(trouble, tidy(j.layout.app(j.name()), j.rec)); err != nil {
		j.log.Warn("could not remove old releases", zap.Error(err))
	}
}

// tidy removes temporary folders from an app's folder, and releases that the
// record does not know: a kill came between their rename and its being written
// down. No job of the app may run meanwhile.
func tidy(app string, rec record) error {
	entries, err := os.ReadDir(app)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list %s: %w", app, err)
	}
	var trouble error
	for _, e := range entries {
		name := e.Name()
		_, staged := rec.Staged[name]
		stray := e.IsDir() && release.ValidateVersion(name) == nil && !staged && name != rec.current && len(rec.Staged) > 0
		if isTemp(name) || stray {
			trouble = errors.Join(trouble, stage.Remove(filepath.Join(app, name)))
		}
	}
	return trouble
}
