package seeder

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
)

// docError is what is wrong with what a document says.
type docError struct {
	kind, name string
	err        error
}

func (e *docError) Error() string { return fmt.Sprintf("decode %s %s: %v", e.kind, e.name, e.err) }
func (e *docError) Unwrap() error { return e.err }

// remedies say what to do about a damaged document without which the seeder does not
// start, by its kind.
var remedies = map[string]string{
	kindRelease: "put the file back from a backup, or from crow manifest's copy; without one move it away, and never push that version again with another build",
	kindDeploy:  "put the file back from a backup, or move it away: its hosts are then ordered what was deployed before it, until you deploy again",
	kindBlob:    "put the file back from a backup, or move it away and push the builds of that artifact again",
	kindFleet:   "put the file back from a backup, or move it away: hosts say hello again, and limits that were ordered are to be ordered again",
	kindLimits:  "put the file back from a backup, or move it away: the seeder's own limits are then its config's",
	kindGossip:  "put the file back from a backup, or move it away: gossip then begins with the key of the configs, which has to be the newest one",
}

// explain adds to an error about a document where that is and what to do.
func (e *env) explain(err error) error {
	d, ok := errors.AsType[*docError](err)
	if !ok {
		return err
	}
	return &control.Error{
		Code: control.CodeInternal, Hint: remedies[d.kind],
		Message: fmt.Sprintf("%v: %s is damaged, or of a newer crow", err, e.dir.DocPath(d.kind, d.name)),
	}
}

// setAside takes a document that cannot be read out of the way, where the seeder is
// no worse off without it. Other errors than docError are returned as they are.
func (e *env) setAside(err error) error {
	d, ok := errors.AsType[*docError](err)
	if !ok {
		return err
	}
	path, moveErr := e.dir.SetAside(d.kind, d.name)
	if moveErr != nil {
		return errors.Join(err, moveErr)
	}
	e.log.Error("damaged document set aside", zap.String("file", path), zap.Error(err))
	return nil
}

// unreadable is why a deploy has ended whose result was set aside.
const unreadable = "how it ended is not known: its document was damaged, and is set aside in the seeder's store"

// lost stands for a deploy's result that cannot be read. The deploy counts as failed:
// as one that had just begun it would order hosts about again. What they have done
// they report again.
func (ds *deploys) lost(d *deploy, err error) (result, error) {
	if err := ds.setAside(err); err != nil {
		return result{}, err
	}
	ended := ds.started.UTC()
	r := result{Phase: release.DeployFailed, Reason: unreadable, Finished: &ended, Rows: []rollout.Row{}}
	// Who had been let go live is not known. One that stops for nothing had let all.
	if _, stops := d.program.Stops(len(d.Hosts)); !stops {
		r.Course.Wave = len(d.program.WaveEnds)
	}
	return r, ds.put(kindResult, d.ID, r)
}
