package seeder

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
	"crow/seeder/rollout"
)

// maxHistory bounds the deploys kept of one app. Those that are some host's
// order stay beyond it.
const maxHistory = 100

// deploys is the part of the books about deploys.
type deploys struct {
	*env
	byID  map[string]*deploy
	byApp map[string][]*deploy // oldest first
	awake map[*deploy]struct{} // those whose rows are in memory
	seq   uint64               // of the newest
	ended uint64               // how many have ended in this life of the seeder
	sent  func(infohash release.Digest) int64
	// archive has those that are older than what is kept here.
	archive *archive
	// revision is that of the newest change of any deploy. It begins with the
	// time, so that a watcher's revision from an earlier life is below it.
	revision uint64
}

func loadDeploys(e *env, sent func(release.Digest) int64) (*deploys, error) {
	ds := &deploys{
		env: e, byID: map[string]*deploy{}, byApp: map[string][]*deploy{}, awake: map[*deploy]struct{}{},
		sent: sent, revision: uint64(e.started.UnixMilli()),
	}
	var err error
	if ds.archive, err = loadArchive(e); err != nil {
		return nil, err
	}
	ids, err := e.dir.ListDocs(kindDeploy)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := ds.load(id); err != nil {
			return nil, err
		}
	}
	for _, all := range ds.byApp {
		slices.SortFunc(all, func(a, b *deploy) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	return ds, ds.clearResults()
}

// clearResults removes results whose plans were pruned.
func (ds *deploys) clearResults() error {
	ids, err := ds.dir.ListDocs(kindResult)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if ds.byID[id] != nil {
			continue
		}
		if err := ds.dir.DeleteDoc(kindResult, id); err != nil {
			return err
		}
	}
	return nil
}

func (ds *deploys) load(id string) error {
	d := ds.open(plan{})
	if err := ds.getAll(kindDeploy, id, &d.plan); err != nil {
		return err
	}
	if err := d.plan.validate(id); err != nil {
		return &docError{kindDeploy, id, err}
	}
	d.program = programOf(d.plan, ds.pace)
	if err := ds.wake(d); err != nil {
		return err
	}
	ds.add(d)
	if d.Phase.Ended() {
		ds.rest(d)
	}
	return nil
}

// open returns a deploy that has no rows yet.
func (ds *deploys) open(p plan) *deploy {
	ds.revision++
	return &deploy{plan: p, program: programOf(p, ds.pace), watch: newWatch(ds.revision)}
}

func (ds *deploys) add(d *deploy) {
	ds.byID[d.ID] = d
	ds.byApp[d.Manifest.App] = append(ds.byApp[d.Manifest.App], d)
	ds.seq = max(ds.seq, d.Seq)
}

// wake brings a deploy's result into memory. Without one on disk the deploy
// had only just begun.
func (ds *deploys) wake(d *deploy) error {
	if d.rows != nil {
		return nil
	}
	var r result
	err := ds.get(kindResult, d.ID, &r)
	if err == nil {
		if bad := r.validate(); bad != nil {
			err = &docError{kindResult, d.ID, bad}
		}
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		if r, err = ds.lost(d, err); err != nil {
			return err
		}
	}
	ds.fill(d, r)
	return nil
}

// fill gives a deploy of the books its result.
func (ds *deploys) fill(d *deploy, r result) {
	d.fill(r)
	ds.awake[d] = struct{}{}
}

// fill gives a deploy its result, with a row for each host that it counts.
func (d *deploy) fill(r result) {
	d.rows = map[string]*rollout.Row{}
	for _, one := range r.Rows {
		d.rows[one.Name] = &one
	}
	for _, name := range d.Hosts {
		if d.rows[name] == nil {
			d.rows[name] = &rollout.Row{HostStatus: control.HostStatus{Name: name}}
		}
	}
	r.Rows = nil
	d.result = r
	if d.Course.Began.IsZero() {
		d.Course.Began = d.Started
	}
	d.Course.Wave = min(d.Course.Wave, len(d.program.WaveEnds)) // a crow of another version may have counted otherwise
	stands := d.stands()
	p := d.program
	for name, one := range d.rows {
		// While the deploy goes on, a late host may have had leave, which is on no disk.
		if !one.Phase.Ended() && (one.Begun || !d.Phase.Ended()) && !d.counts(name) {
			p.Aside++
		}
	}
	d.may = rollout.Permitted(p, d.Course, stands)
	d.letAll = rollout.HadTurns(p, d.Course, stands, d.may)
	if d.Phase.Ended() && d.LetAll != nil {
		d.letAll = *d.LetAll // who took places then is not known any more
	}
}

// rest lets go of the rows of a deploy that has ended and is nobody's order.
func (ds *deploys) rest(d *deploy) {
	if d.orders > 0 || !d.Phase.Ended() || d.dirty {
		return
	}
	if !d.isOpen() {
		d.got = map[string]bool{}
		for name, r := range d.rows {
			if r.Live {
				d.got[name] = true
			}
		}
	}
	d.open = map[string]bool{}
	for name, r := range d.rows {
		if !r.Phase.Ended() {
			d.open[name] = true
		}
	}
	d.rows = nil
	delete(ds.awake, d)
}

// newest is an app's last deploy, or nil.
func (ds *deploys) newest(app string) *deploy {
	all := ds.byApp[app]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// newID returns an id that no deploy has.
func (ds *deploys) newID() string {
	for {
		var b [4]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		id := "d-" + hex.EncodeToString(b[:])
		if ds.byID[id] == nil && !ds.archive.has(id) {
			return id
		}
	}
}

// save writes a deploy's result. A failure is logged and tried again: what
// hosts have done is no less true because the disk is full.
func (ds *deploys) save(d *deploy, now time.Time) {
	d.saved = now
	if err := ds.write(d); err != nil {
		d.dirty = true
		ds.log.Error("deploy result not saved", zap.String("deploy", d.ID), zap.Error(err))
	}
}

// write is save for who cannot go on without.
func (ds *deploys) write(d *deploy) error {
	r := d.result
	r.Rows = d.sortedRows()
	err := ds.put(kindResult, d.ID, r)
	if err == nil {
		d.dirty = false
	}
	return err
}

// file puts a deploy into the archive. A kill may have come between that and its
// removal here.
func (ds *deploys) file(d *deploy, now time.Time) error {
	if ds.archive.has(d.ID) {
		return nil
	}
	if err := ds.wake(d); err != nil {
		return err
	}
	defer ds.rest(d)
	return ds.archive.add(d, now)
}

// prune moves the oldest deploys of an app that has too many to the archive.
func (ds *deploys) prune(app string, now time.Time) error {
	all := ds.byApp[app]
	for i := 0; i < len(all) && len(all) > maxHistory; {
		d := all[i]
		if d.orders > 0 || d.rows != nil {
			i++
			continue
		}
		if err := ds.file(d, now); err != nil {
			return err
		}
		// A plan without a result would be a deploy that has just begun, so the
		// plan goes first; a result that is left over goes at the next start.
		if err := ds.dir.DeleteDoc(kindDeploy, d.ID); err != nil {
			return err
		}
		if err := ds.dir.DeleteDoc(kindResult, d.ID); err != nil {
			return err
		}
		delete(ds.byID, d.ID)
		all = slices.Delete(all, i, i+1)
		ds.byApp[app] = all
	}
	return nil
}
