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
	trouble := j.drop(j.name(), &j.rec, j.rec.surplus(int(j.app.Keep), j.version(), j.layout.leadsTo(j.name()))...)
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

// strays names what an earlier life of crow left in an app's folder: its temporary
// folders, and the release that a kill came to between its rename and its being
// written down.
func strays(app string, rec record) ([]string, error) {
	stray, _, err := sift(app, rec)
	return stray, err
}

// sift tells what crow left in an app's folder from what is somebody else's.
func sift(app string, rec record) (stray, foreign []string, err error) {
	entries, err := os.ReadDir(app)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("list %s: %w", app, err)
	}
	for _, e := range entries {
		name := e.Name()
		_, staged := rec.Staged[name]
		switch {
		case staged || name == rec.current || name == release.CurrentLink:
		case isTemp(name) || name == rec.Placing && e.IsDir():
			stray = append(stray, name)
		default:
			foreign = append(foreign, name)
		}
	}
	return stray, foreign, nil
}

// maxForeign bounds the names in a line on what is not crow's.
const maxForeign = 10

// nameForeign says that an app's folder has more than crow put there.
func nameForeign(app, folder string, rec record, log *zap.Logger) {
	_, foreign, err := sift(folder, rec)
	if err != nil || len(foreign) == 0 {
		return // what cannot be listed is told of by tidy
	}
	log.Warn("an app's folder holds what crow did not put there; it is left alone", zap.String("app", app), zap.String("folder", folder),
		zap.Int("count", len(foreign)), zap.Strings("names", foreign[:min(len(foreign), maxForeign)]))
}

// tidy removes what a kill left half-made in the apps' folders, before any job
// works there, and names what it does not know.
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
		folder := p.agent.layout.app(f.Name())
		if err := tidy(folder, rec); err != nil {
			p.log.Warn("could not remove leftovers", zap.String("app", f.Name()), zap.Error(err))
		}
		nameForeign(f.Name(), folder, rec, p.log)
	}
}
