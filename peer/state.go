package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/swarm"
	"crow/peer/hook"
)

// Kinds of documents in the state folder.
const (
	kindApp      = "app"      // record, by app
	kindOrders   = "orders"   // the last control.Orders, under ordersName
	kindTorrent  = "torrent"  // bencoded, by the artifact's SHA-256
	kindVerified = "verified" // verified, by SHA-256
)

const ordersName = "last"

// state is what survives a restart: documents in data_dir/state, each written
// atomically and synced. A document that can't be read counts as absent: what
// it held is found out anew, from the seeder or from the disk. Only what an app's
// record holds nobody else can say: what the host has accepted.
type state struct {
	docs *store.Dir
	log  *zap.Logger
}

// verified says that a cached file had the right SHA-256 when it looked so.
type verified struct {
	Size  int64     `json:"size"` // bytes
	MTime time.Time `json:"mtime"`
	// Boot is the machine's: after a crash of the machine, blocks may be
	// missing from a file that looks the same.
	Boot string `json:"boot"`
}

func (s state) get(kind, name string, v any) bool {
	err := s.read(kind, name, v)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.log.Warn("state document is unreadable and left aside", zap.String("kind", kind), zap.String("name", name), zap.Error(err))
	}
	return err == nil
}

// read is get for those who handle the error; it is store.ErrNotFound if there
// is no such document.
func (s state) read(kind, name string, v any) error {
	b, err := s.docs.GetDoc(kind, name)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func (s state) put(kind, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", kind, name, err)
	}
	return s.docs.PutDoc(kind, name, b)
}

// apps returns the records of all apps.
func (s state) apps(layout layout) (map[string]record, error) {
	names, err := s.docs.ListDocs(kindApp)
	if err != nil {
		return nil, err
	}
	records := map[string]record{}
	for _, name := range names {
		if release.ValidateApp(name) != nil {
			continue
		}
		r := s.app(layout, name)
		if records[name] = r; r.unreadable != nil {
			s.log.Error("app's orders are refused", zap.String("app", name), zap.Error(r.unreadable))
		}
	}
	return records, nil
}

// app returns an app's record, set right by what is on disk. One that can't be
// read is empty and says so: if it passed for none, older releases would be
// admitted again.
func (s state) app(layout layout, name string) record {
	var r record
	if err := s.read(kindApp, name, &r); err != nil {
		r = record{}
		if !errors.Is(err, store.ErrNotFound) {
			r.unreadable = unreadable(layout.record(name), err)
		}
	}
	layout.settle(name, &r)
	return r
}

// settle sets an app's record right by what is on disk.
func (l layout) settle(app string, r *record) {
	r.current = l.current(app)
	if r.Good != nil && !isFolder(l.release(app, r.Good.Version)) {
		r.Good = nil // it was lost, and is not live whatever the link says
	}
	for version := range r.Staged {
		if !isFolder(l.release(app, version)) {
			delete(r.Staged, version)
		}
	}
}

// unreadable words what to do about an app's record at path.
func unreadable(path string, err error) error {
	return fmt.Errorf("what this host has accepted before is not known, since %s is unreadable (%w): "+
		"remove that file to take any signed release again, then deploy again", path, err)
}

// putApp writes an app's record. The error is the record's own if it stands for
// one that could not be read: that is its owner's to remove.
func (s state) putApp(name string, r record) error {
	if r.unreadable != nil {
		return r.unreadable
	}
	return s.put(kindApp, name, r)
}

func (s state) orders() (o control.Orders) {
	if !s.get(kindOrders, ordersName, &o) {
		return control.Orders{}
	}
	return o
}

func (s state) putOrders(o control.Orders) error { return s.put(kindOrders, ordersName, o) }

// torrent returns the torrent of an artifact, if the state has one.
func (s state) torrent(d release.Digest) ([]byte, swarm.Torrent, bool) {
	b, err := s.docs.GetDoc(kindTorrent, d.String())
	if err != nil {
		return nil, swarm.Torrent{}, false
	}
	t, err := swarm.ParseTorrent(b)
	return b, t, err == nil
}

func (s state) putTorrent(d release.Digest, b []byte) error {
	return s.docs.PutDoc(kindTorrent, d.String(), b)
}

// isVerified reports whether the file at path looks as it did when its SHA-256
// was checked, on the same boot of the machine.
func (s state) isVerified(d release.Digest, path string) bool {
	var then verified
	now, err := look(path)
	return err == nil && s.get(kindVerified, d.String(), &then) &&
		then.Size == now.Size && then.MTime.Equal(now.MTime) && then.Boot == now.Boot && now.Boot != ""
}

func (s state) putVerified(d release.Digest, path string) error {
	v, err := look(path)
	if err != nil {
		return err
	}
	return s.put(kindVerified, d.String(), v)
}

// forget removes all that the state knows of an artifact.
func (s state) forget(d release.Digest) error {
	return errors.Join(s.docs.DeleteDoc(kindVerified, d.String()), s.docs.DeleteDoc(kindTorrent, d.String()))
}

// known lists the artifacts that the state has documents of.
func (s state) known() ([]release.Digest, error) {
	var all []release.Digest
	for _, kind := range []string{kindTorrent, kindVerified} {
		names, err := s.docs.ListDocs(kind)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if d, err := release.ParseDigest(name); err == nil {
				all = append(all, d)
			}
		}
	}
	return all, nil
}

func look(path string) (verified, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return verified{}, fmt.Errorf("look at artifact: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return verified{}, fmt.Errorf("look at artifact: %s is not a plain file", path)
	}
	boot, err := hook.BootID()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return verified{}, fmt.Errorf("read boot id: %w", err)
	}
	return verified{Size: fi.Size(), MTime: fi.ModTime(), Boot: boot}, nil
}

// layout knows the names under data_dir that are contracts (cache, apps), and
// the state folder.
type layout struct{ root string }

func (l layout) state() string { return filepath.Join(l.root, "state") }
func (l layout) cache() string { return filepath.Join(l.root, "cache") }
func (l layout) apps() string  { return filepath.Join(l.root, "apps") }

// make makes the folders that the agent itself fills. Builds may hold secrets, so
// the cache is closed to others; an earlier crow left it open. A data_dir that
// cannot be one is release.ErrInvalid.
func (l layout) make() error {
	for _, folder := range []struct {
		path string
		mode fs.FileMode
	}{{l.root, folderMode}, {l.apps(), folderMode}, {l.cache(), stateMode}} {
		err := os.MkdirAll(folder.path, folder.mode)
		if errors.Is(err, syscall.ENOTDIR) {
			return fmt.Errorf("%w path %q: it is a file or below one, want a folder: %w", release.ErrInvalid, l.root, err)
		}
		if err != nil {
			return err
		}
	}
	return os.Chmod(l.cache(), stateMode)
}

// record is the document of an app's record, as package store lays it out.
func (l layout) record(app string) string { return filepath.Join(l.state(), "docs", kindApp, app) }

// lock is the file by which package store keeps other agents away.
func (l layout) lock() string { return filepath.Join(l.state(), "lock") }

func (l layout) hooks() string { return filepath.Join(l.state(), "hooks") }

// lent holds what hooks of other users are given of the cache.
func (l layout) lent() string { return filepath.Join(l.root, "lent") }

func (l layout) hook(app string) string { return filepath.Join(l.hooks(), app) }
func (l layout) app(name string) string { return filepath.Join(l.apps(), name) }
func (l layout) release(app, version string) string {
	return filepath.Join(l.apps(), app, version)
}
func (l layout) link(app string) string { return filepath.Join(l.apps(), app, release.CurrentLink) }

// current is the version that the app's link names; empty if there is no such
// link, or if it leads anywhere but to a release beside it.
func (l layout) current(app string) string {
	version, err := os.Readlink(l.link(app))
	if err != nil || release.ValidateVersion(version) != nil {
		return ""
	}
	return version
}

// leadsTo is the release beside it that the app's link leads to or into, by
// whatever path: people set links that crow would not. It is empty if there is none.
func (l layout) leadsTo(app string) string {
	target, err := filepath.EvalSymlinks(l.link(app))
	if err != nil {
		return ""
	}
	folder, err := filepath.EvalSymlinks(l.app(app))
	if err != nil {
		return ""
	}
	inside, err := filepath.Rel(folder, target)
	if err != nil {
		return ""
	}
	version, _, _ := strings.Cut(inside, string(filepath.Separator))
	return version
}
