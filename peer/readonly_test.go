package peer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"crow/internal/release"
)

// ownDisk mounts a disk of so many bytes as the data_dir, which needs the right to.
func (r *rig) ownDisk(size string) {
	r.t.Helper()
	if err := unix.Mount("crow", r.cfg.DataDir, "tmpfs", 0, "size="+size); err != nil {
		r.t.Skipf("cannot mount: %v", err)
	}
	r.t.Cleanup(func() {
		if err := unix.Unmount(r.cfg.DataDir, unix.MNT_DETACH); err != nil {
			r.t.Error(err)
		}
	})
}

// bound has data_dir be another folder of the same file system.
func (r *rig) bound() {
	r.t.Helper()
	if err := unix.Mount(r.t.TempDir(), r.cfg.DataDir, "", unix.MS_BIND, ""); err != nil {
		r.t.Skipf("cannot mount: %v", err)
	}
	r.t.Cleanup(func() {
		if err := unix.Unmount(r.cfg.DataDir, unix.MNT_DETACH); err != nil {
			r.t.Error(err)
		}
	})
}

// freeze makes folders of data_dir such that nothing can be made in them or removed,
// as on a disk that has become read-only, and returns what undoes it.
func (r *rig) freeze(folders ...string) (thaw func()) {
	r.t.Helper()
	set := func(flag int) {
		for _, folder := range folders {
			f, err := os.Open(r.path(folder))
			if err == nil {
				err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flag)
				f.Close()
			}
			if err != nil && flag != 0 {
				r.t.Skipf("cannot freeze: %v", err)
			}
		}
	}
	const immutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	set(immutable)
	r.t.Cleanup(func() { set(0) })
	return func() { set(0) }
}

// Whatever folder cannot be written to, the deploy fails with a reason, and once it
// can be a new attempt goes live.
func TestReadOnlyDisk(t *testing.T) {
	for _, test := range []struct{ folder, want string }{
		{"state/docs/app", "order: "}, {"state/docs/torrent", "fetch: "}, {"cache", "fetch: "}, {"state/docs/verified", "verify: "},
		{"apps", "stage: "}, {"state/hooks", "hook: "},
	} {
		t.Run(test.folder, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			r.ownDisk("64m")
			r.cfg.Apps["web"] = App{Unpack: true, Hook: []string{"/bin/true"}}
			r.start()
			first := r.page("first")
			r.office.give(first.order("d-1", "other", "1"))
			r.office.await(t, "d-1", release.Active)
			order := r.page("page").order("d-2", "web", "1")
			thaw := r.freeze(test.folder)
			r.office.give(order)
			if got := r.office.await(t, "d-2", release.Failed); !strings.HasPrefix(got.Reason, test.want) {
				t.Errorf("reason is %q, want %q", got.Reason, test.want)
			}
			thaw()
			r.office.give(attempt(order, 1))
			r.office.until(t, "second attempt", func() bool { j, _ := r.office.job("d-2"); return j.Phase == release.Active && j.Attempt == 1 })
		})
	}
}

// A disk that becomes read-only while the hook runs takes no result: the host says
// so, and is as ready for another attempt as after any failure.
func TestDiskBecomesReadOnlyInHook(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.ownDisk("64m")
	dir := t.TempDir()
	r.cfg.Apps["web"] = r.hook(App{}, "cd "+dir+"; echo >> ran; while [ ! -e go ]; do sleep 0.01; done")
	order := r.goods("build").order("d-1", "web", "1")
	r.start()
	r.office.give(order)
	eventually(t, "hook runs", func() bool { return exists(filepath.Join(dir, "ran")) })
	thaw := r.freeze("state/docs/app")
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.office.await(t, "d-1", release.Failed); !strings.HasPrefix(got.Reason, "activate: ") || got.Hook == nil || got.Hook.Exit != 0 {
		t.Errorf("report is %+v", got)
	}
	thaw()
	r.office.give(attempt(order, 1))
	r.office.until(t, "second attempt", func() bool { j, _ := r.office.job("d-1"); return j.Phase == release.Active && j.Attempt == 1 })
}
