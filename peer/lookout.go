package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// errRemoved ends a life whose data_dir, or the state folder in it, is another one
// than it was started on. The next life starts on what is there.
var errRemoved = errors.New("data_dir was removed or replaced under the agent")

// lookout looks from time to time whether data_dir is still what the agent was
// started on, whether it has what the records say, and whether its disk answers
// at all. It alone waits for a disk that may be silent, and tells the loop.
type lookout struct {
	*host
	lock  spot // that the agent has on data_dir; as it has it open, no other gets its inode
	sight func(apps []watchedApp) sighting
}

// watchedApp is what the loop believes of an app that nobody is at.
type watchedApp struct {
	app, current string
	versions     []string // that have to be there
}

// sighting is what a look found.
type sighting struct {
	trouble string            // empty: none
	removed string            // the folder that is gone for good, or another; empty: none
	remade  bool              // folders were missing, and are there again, empty
	blank   bool              // so were those of the state's documents
	lost    []string          // apps whose release or link is not there
	moved   map[string]string // by app, where a link leads that crow did not set so
}

func newLookout(h *host) (*lookout, error) {
	lock, err := identify(h.layout.lock())
	l := &lookout{host: h, lock: lock}
	l.sight = l.look
	return l, err
}

// run looks until ctx ends, or data_dir is found to be another one.
func (l *lookout) run(ctx context.Context) error {
	tick := time.NewTicker(l.timing.look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		s, err := l.patiently(ctx)
		if err != nil {
			return nil // ctx has ended
		}
		if s.removed != "" {
			l.log.Error("data_dir was removed or replaced under the agent; it starts anew on what is there, and fetches and stages again what is ordered",
				zap.String("path", s.removed), zap.String("hint", "stop the agent before data_dir is moved or restored"))
			return errRemoved
		}
		if err := l.ask(ctx, func(a *agent) { a.sighted(ctx, s) }); err != nil {
			return nil
		}
	}
}

// patiently takes a look, and has the loop know when that takes too long. A look
// that never ends is left behind when ctx does: nothing ends a call to a disk
// that is silent.
func (l *lookout) patiently(ctx context.Context) (sighting, error) {
	var apps []watchedApp
	if err := l.ask(ctx, func(a *agent) { apps = a.watched() }); err != nil {
		return sighting{}, err
	}
	seen := make(chan sighting, 1)
	go func() { seen <- l.sight(apps) }()
	late := time.NewTimer(l.timing.silent)
	defer late.Stop()
	for {
		select {
		case s := <-seen:
			return s, nil
		case <-late.C:
			s := sighting{trouble: l.silence()}
			if err := l.ask(ctx, func(a *agent) { a.sighted(ctx, s) }); err != nil {
				return sighting{}, err
			}
		case <-ctx.Done():
			return sighting{}, ctx.Err()
		}
	}
}

// silence words that the disk does not answer.
func (h *host) silence() string {
	return fmt.Sprintf("data_dir %s does not answer: see to its disk or its mount", h.layout.root)
}

// look costs a few calls for each app.
func (l *lookout) look(apps []watchedApp) (s sighting) {
	switch now, err := identify(l.layout.lock()); {
	case err == nil && now.inode == l.lock.inode:
		l.lock = now // it may have been mounted anew
	case err != nil && !isGone(err):
		return sighting{trouble: fmt.Sprintf("data_dir cannot be looked at: %s", err)}
	case !spotOf(l.layout.lock()).isMountedAs(l.lock): // what is mounted again may have all that was there
		return sighting{trouble: fmt.Sprintf("data_dir %s is on another file system than the agent was started on: "+
			"mount that again, or restart the agent to start anew on this one", l.layout.root)}
	default:
		return sighting{removed: l.layout.root}
	}
	s.moved = map[string]string{}
	for _, w := range apps { // before the folders: what is lost is fetched into one of them
		l.lookAt(w, &s)
	}
	var err error
	s.remade, err = l.remake()
	if err == nil {
		s.blank, err = l.remakeState()
	}
	if err != nil {
		return sighting{trouble: fmt.Sprintf("data_dir cannot be mended: %s", err)}
	}
	return s
}

// remake makes the folders again that are missing, and reports whether any was.
func (l *lookout) remake() (bool, error) {
	for _, folder := range []string{l.layout.apps(), l.layout.cache(), l.layout.hooks()} {
		if _, err := os.Stat(folder); !isGone(err) {
			continue
		}
		l.log.Error("a folder was removed under the agent; it is made again, and what is ordered is fetched and staged again",
			zap.String("path", folder), zap.String("hint", hintGC))
		return true, errors.Join(l.layout.make(), os.MkdirAll(l.layout.hooks(), stateMode))
	}
	return false, nil
}

// remakeState is remake for the folders of the state's documents.
func (l *lookout) remakeState() (bool, error) {
	missing, err := l.state.docs.Remake()
	for _, folder := range missing {
		l.log.Error("a folder was removed under the agent; it is made again, and the apps' records are written anew",
			zap.String("path", folder), zap.String("hint", hintGC))
	}
	return len(missing) > 0, err
}

// hintGC is for who removed what is the agent's.
const hintGC = "crow peer gc removes what nobody needs"

// lookAt compares what is on disk of an app with what the loop believes.
func (l *lookout) lookAt(w watchedApp, s *sighting) {
	for _, version := range w.versions {
		if _, err := os.Stat(l.layout.release(w.app, version)); isGone(err) {
			s.lost = append(s.lost, w.app)
			return
		}
	}
	target, err := os.Readlink(l.layout.link(w.app))
	switch _, broken := os.Stat(l.layout.link(w.app)); {
	case errors.Is(err, syscall.EINVAL):
		s.moved[w.app] = noLink
	case target == w.current || err != nil && !isGone(err):
	case target != "" && broken == nil:
		s.moved[w.app] = target
	case w.current != "":
		s.lost = append(s.lost, w.app)
	}
}

// isGone is true of the error of a path that leads to nothing.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// watched is what a look compares with the disk. Releases that are neither live nor
// ordered are for crow peer verify to miss.
func (a *agent) watched() (all []watchedApp) {
	for app, s := range a.slots {
		if s.isIdle() && s.rec.unreadable == nil {
			s.watched = true
			all = append(all, watchedApp{app: app, current: s.rec.current, versions: s.vital()})
		}
	}
	return all
}

// sighted follows what a look found. As long as there is trouble no job is begun:
// it could only hang, or write to where nothing of crow's belongs.
func (a *agent) sighted(ctx context.Context, found sighting) {
	if found.trouble != a.trouble {
		a.notice(found.trouble)
		if a.trouble == "" {
			a.take(ctx, a.orders)
			a.restoreAll(ctx) // what was found corrupt meanwhile
			a.needs()
		}
	}
	if a.trouble != "" {
		return
	}
	for _, app := range found.lost {
		if a.chore(app, func(rec *record) { a.settle(app, rec) }) != nil {
			a.slots[app].anew = reasonLost
		}
	}
	// Where a job or a chore came between, the look may have seen what that did.
	for app, s := range a.slots {
		if target := found.moved[app]; target != s.moved && s.watched {
			a.linkMoved(app, s, target)
		}
	}
	if found.remade {
		a.restoreAll(ctx)
	}
	if found.blank {
		a.rewrite()
	}
}

// rewrite writes the apps' records anew. Nobody else can say what this host has
// accepted. An app with a job is written down by that.
func (a *agent) rewrite() {
	for app := range a.slots {
		a.chore(app, func(rec *record) {
			if err := a.state.putApp(app, *rec); err != nil {
				a.log.Warn("could not write down an app's record anew", zap.String("app", app), zap.Error(err))
			}
		})
	}
}

// notice is for trouble that came or went.
func (a *agent) notice(trouble string) {
	if trouble != "" {
		a.log.Error("no deploy can be done on this host", zap.String("path", a.layout.root), zap.String("reason", trouble))
	} else {
		a.log.Info("data_dir is there again, and orders are followed", zap.String("path", a.layout.root))
	}
	a.trouble, a.changed = trouble, changeUrgent
}

// linkMoved is for a link that somebody set by hand, or back. He may have had to,
// with no seeder in reach, so it is told and not undone.
func (a *agent) linkMoved(app string, s *slot, target string) {
	s.moved, a.changed = target, changeUrgent
	if target != "" {
		a.log.Error("the live release's link was set by somebody else; it is left alone",
			zap.String("app", app), zap.String("path", a.layout.link(app)), zap.String("target", target),
			zap.String("hint", remedy(target)))
	}
}

// noLink stands for where the link leads if there is a folder or a file in its place.
const noLink = "what is no link"

// remedy is what to do about where a link leads.
func remedy(target string) string {
	if target == noLink { // which no link can replace, if it is a folder
		return "move that away: what is ordered is set live then"
	}
	return "set it back, deploy, or restart the agent: it sets live what is ordered"
}

// settle is a chore that has a record say no more than is on disk.
func (h *host) settle(app string, rec *record) {
	before := rec.clone()
	h.layout.settle(app, rec)
	if rec.current == before.current && len(rec.Staged) == len(before.Staged) {
		return
	}
	gone := slices.DeleteFunc(slices.Sorted(maps.Keys(before.Staged)), func(v string) bool { _, ok := rec.Staged[v]; return ok })
	h.log.Error("releases, or the link to the live one, were removed under the agent; what is ordered is staged again and set live",
		zap.String("app", app), zap.String("path", h.layout.app(app)), zap.Strings("versions", gone),
		zap.String("hint", hintGC))
	if err := h.state.putApp(app, *rec); err != nil {
		h.log.Warn("could not write down what is left of an app", zap.String("app", app), zap.Error(err))
	}
}

// reasonLost is told while what was removed is brought back.
const reasonLost = "it was removed under the agent, and is brought back"
