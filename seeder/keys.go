package seeder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// Bounds of the idempotency keys that are remembered. A job is tried again within hours,
// seldom days. When there are too many the oldest goes that is over keyLeast; if all are
// younger, a new one is refused: better that than a second deploy for a key that was
// answered.
const (
	keyAge   = 7 * 24 * time.Hour
	keyLeast = 24 * time.Hour
	maxKeys  = 10_000 // of all apps
	keySweep = 100    // that are forgotten at one time: each is a file
)

// keys are the idempotency keys that deploys were asked for with, apart from these: a key
// outlives what is kept of its deploy. Each has a document of its own, and what has to be
// known of all of them is in its name.
type keys struct {
	*env
	given map[string]time.Time // by keyID, to the second
	most  int
}

// asked is what was asked for with a key: the document keys/<keyID>.<unix time>. Of the
// hosts it has digests, for targets may be thousands.
type asked struct {
	Key string `json:"key"`
	release.Ref
	Deploy   string          `json:"deploy"`
	Targets  release.Digest  `json:"targets"`
	Excludes release.Digest  `json:"excludes"`
	Hosts    string          `json:"hosts"` // the selector in words, shortened
	Rollout  release.Rollout `json:"rollout,omitzero"`
	GoesBack *bool           `json:"goes_back,omitempty"` // by a statement that lets hosts; nil: of an earlier crow, not known
}

func digestOf(all []release.Expr) release.Digest {
	h := sha256.New()
	for _, e := range all {
		fmt.Fprintf(h, "%d:%s", len(e), e)
	}
	return release.Digest(h.Sum(nil))
}

// keyID is a key's in its document's name: keys are people's own words.
func keyID(app, key string) string {
	sum := sha256.Sum256([]byte(app + "\x00" + key))
	return hex.EncodeToString(sum[:16])
}

func (k *keys) name(id string) string { return id + "." + strconv.FormatInt(k.given[id].Unix(), 10) }

func loadKeys(e *env) (*keys, error) {
	names, err := e.dir.ListDocs(kindKey)
	if err != nil {
		return nil, err
	}
	k := &keys{env: e, given: map[string]time.Time{}, most: maxKeys}
	for _, name := range names {
		id, unix, _ := strings.Cut(name, ".")
		if at, err := strconv.ParseInt(unix, 10, 64); err == nil {
			k.given[id] = time.Unix(at, 0)
		}
	}
	return k, nil
}

// find returns what was asked for with a key, or nil.
func (k *keys) find(app, key string) (*asked, error) {
	id := keyID(app, key)
	if _, known := k.given[id]; !known {
		return nil, nil
	}
	var was asked
	switch err := k.get(kindKey, k.name(id), &was); {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err == nil && (was.Key != key || was.App != app):
		err = errOtherKey
		fallthrough
	case err != nil:
		return nil, &keyError{app, key, k.dir.DocPath(kindKey, k.name(id)), err}
	}
	return &was, nil
}

// errOtherKey says that a key's document is that of another one.
var errOtherKey = errors.New("it is not the document of that key")

// keyError says that what was asked for with a key cannot be read.
type keyError struct {
	app, key, path string
	cause          error
}

func (e *keyError) Error() string {
	return fmt.Sprintf("idempotency key %q of %s: read %s: %v", e.key, e.app, e.path, e.cause)
}

func (e *keyError) Unwrap() error { return e.cause }

// answer is what a caller is told: where things lie is the log's alone.
func (e *keyError) answer() *control.Error {
	return &control.Error{
		Code: control.CodeInternal, Message: fmt.Sprintf("idempotency key %q of %s: what was asked for with it cannot be read on the seeder", e.key, e.app),
		Hint: "crow status " + e.app + " shows whether it is under way; if not, use another key",
	}
}

// room makes room for a key, or refuses it.
func (k *keys) room(app, key string, now time.Time) error {
	if _, known := k.given[keyID(app, key)]; known || key == "" || len(k.given) < k.most {
		return nil
	}
	oldest := ""
	for id, at := range k.given {
		if oldest == "" || at.Before(k.given[oldest]) {
			oldest = id
		}
	}
	if now.Sub(k.given[oldest]) < keyLeast {
		return refused(fmt.Sprintf("idempotency key %q of %s: %d others were given within %s, and no more can be remembered", key, app, k.most, keyLeast),
			"deploy without a key, or fewer times a day")
	}
	return k.forget(oldest)
}

// put remembers a key; it is on disk when put returns.
func (k *keys) put(a asked, now time.Time) error {
	id := keyID(a.App, a.Key)
	if _, known := k.given[id]; known { // of a deploy that never came about
		if err := k.forget(id); err != nil {
			return err
		}
	}
	k.given[id] = now.Truncate(time.Second)
	err := k.env.put(kindKey, k.name(id), a)
	if err != nil {
		err = errors.Join(err, k.dir.DeleteDoc(kindKey, k.name(id))) // it may be there all the same
		delete(k.given, id)
	}
	return err
}

func (k *keys) forget(id string) error {
	err := k.dir.DeleteDoc(kindKey, k.name(id))
	if err == nil {
		delete(k.given, id)
	}
	return err
}

// sweep forgets keys that were given long ago.
func (k *keys) sweep(now time.Time) error {
	n := 0
	for id, at := range k.given {
		if now.Sub(at) <= keyAge {
			continue
		}
		if n++; n > keySweep {
			return nil
		}
		if err := k.forget(id); err != nil {
			return err
		}
	}
	return nil
}

// adopt remembers the keys that deploys have and nobody else: a kill came between, or an
// earlier crow wrote them.
func (k *keys) adopt(ds *deploys) {
	for _, d := range ds.byID {
		for _, key := range append([]string{d.Key}, d.Keys...) {
			_, known := k.given[keyID(d.Manifest.App, key)]
			if key == "" || known || ds.started.Sub(d.Started) > keyAge || len(k.given) >= k.most {
				continue
			}
			if err := k.put(d.request(key), d.Started); err != nil {
				k.log.Error("idempotency key not saved", zap.String("deploy", d.ID), zap.Error(err))
			}
		}
	}
}

// request is what the deploy was asked for with a key.
func (d *deploy) request(key string) asked {
	goesBack := d.Rollback != nil
	return asked{
		Key: key, Ref: d.Manifest.Ref(), Deploy: d.ID, Targets: digestOf(d.Selector.Targets), Excludes: digestOf(d.Selector.Excludes),
		Hosts: d.Selector.String(), Rollout: d.Rollout, GoesBack: &goesBack,
	}
}

// keyed returns the id of the deploy that was asked for with the request's idempotency
// key, if that is remembered: a job that is tried again gets what the first try got. A
// key of another request is refused.
func (b *books) keyed(req control.CreateDeploy) (id string, err error) {
	if req.Key == "" {
		return "", nil
	}
	was, err := b.askedWith(req.App, req.Key)
	if was == nil || err != nil {
		return "", err
	}
	return was.Deploy, was.conflict(req)
}

// askedWith is what was asked for with a key, or nil. The deploys in memory know their
// own for as long as they are there.
func (b *books) askedWith(app, key string) (*asked, error) {
	was, err := b.keys.find(app, key)
	if err != nil || was != nil && (b.deploys.byID[was.Deploy] != nil || b.deploys.archive.has(was.Deploy)) {
		return was, err
	}
	for _, d := range b.deploys.byApp[app] {
		if d.Key == key {
			own := d.request(key)
			return &own, nil
		}
	}
	return nil, nil
}

// conflict refuses a request that is not what the key was given with before. Without
// targets a request means those of the app's last deploy, and so did the first.
func (a asked) conflict(req control.CreateDeploy) error {
	goesBack := req.Rollback != nil
	wentBack := a.isRollback(goesBack)
	if a.Ref == req.Ref && (len(req.Targets) == 0 || digestOf(req.Targets) == a.Targets) &&
		digestOf(req.Excludes) == a.Excludes && sameRollout(a.Rollout, req.Rollout) && wentBack == goesBack {
		return nil
	}
	hosts := "the hosts of the last deploy"
	if len(req.Targets) > 0 {
		hosts = req.Selector.String()
	}
	return refused(fmt.Sprintf("%s of %s to %s%s: idempotency key %q is that of %s %s of %s to %s%s",
		verbOf(goesBack), req.Ref, hosts, inWords(req.Rollout), req.Key,
		verbOf(wentBack), a.Deploy, a.Ref, a.Hosts, inWords(a.Rollout)), "use a new key for what is new")
}

// isRollback reports whether what was asked for lets hosts go back. Where that is not
// known it is as the request that asks.
func (a asked) isRollback(unknown bool) bool {
	if a.GoesBack == nil {
		return unknown
	}
	return *a.GoesBack
}

func verbOf(goesBack bool) string {
	if goesBack {
		return "rollback"
	}
	return "deploy"
}
