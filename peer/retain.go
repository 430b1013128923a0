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

// tidy removes what is stray in an app's folder. No job of the app may run
// meanwhile.
func tidy(app string, rec record) error {
	names, trouble := strays(app, rec)
	for _, name := range names {
		trouble = errors.Join(trouble, stage.Remove(filepath.Join(app, name)))
	}
	return trouble
}

// strays names temporary folders in an app's folder, and releases that the record
// does not know: a kill came between their rename and its being written down.
func strays(app string, rec record) ([]string, error) {
	entries, err := os.ReadDir(app)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list %s: %w", app, err)
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		_, staged := rec.Staged[name]
		stray := e.IsDir() && release.ValidateVersion(name) == nil && !staged && name != rec.current && len(rec.Staged) > 0
		if isTemp(name) || stray {
			names = append(names, name)
		}
	}
	return names, nil
}

// tidy removes what a kill left half-made in the apps' folders, before any job
// works there.
func (p *Peer) tidy() {
	folders, err := os.ReadDir(p.agent.layout.apps())
	if err != nil {
		p.log.Warn("could not list apps", zap.Error(err))
	}
	if err := p.agent.layout.tidyLent(); err != nil {
		p.log.Warn("could not take back what hooks were lent", zap.Error(err))
	}
	for _, f := range folders {
		if release.ValidateApp(f.Name()) != nil {
			continue
		}
		rec := record{}
		if s := p.agent.slots[f.Name()]; s != nil {
			rec = s.rec
		}
		if err := tidy(filepath.Join(p.agent.layout.apps(), f.Name()), rec); err != nil {
			p.log.Warn("could not remove leftovers", zap.String("app", f.Name()), zap.Error(err))
		}
	}
}
