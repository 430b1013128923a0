package peer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"crow/internal/release"
)

// errOverBudget is the error of a claim that disk_budget does not allow.
var errOverBudget = errors.New("over budget")

// inode names a file whatever links it has.
type inode struct{ dev, ino uint64 }

// measure is how much disk all below root takes, in bytes, but for what skip
// names; a file with several links counts once. What cannot be looked at, or goes
// meanwhile, does not count.
func measure(root string, skip func(path string) bool) (int64, error) {
	total, seen := int64(0), map[inode]bool{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && skip != nil && skip(path) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = e.Info()
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		if st.Nlink > 1 && !info.IsDir() {
			if seen[inode{st.Dev, st.Ino}] {
				return nil
			}
			seen[inode{st.Dev, st.Ino}] = true
		}
		total = sum(total, st.Blocks*blockSize)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", root, err)
	}
	return total, nil
}

// use is what data_dir takes, if anybody wants to know.
func (d *disk) use() (int64, error) {
	if d.budget == 0 {
		return 0, nil
	}
	return measure(d.root, nil)
}

// survey finds out what data_dir would take without what can be spared: what is
// left is room for a deploy.
func (d *disk) survey(spare map[string]bool) error {
	if d.budget == 0 {
		return nil
	}
	kept, err := measure(d.root, func(path string) bool { return spare[path] })
	if err == nil {
		d.kept.Store(kept)
	}
	return err
}

// within compares what an app's job needs with what the budget leaves. The caller
// holds the lock.
func (d *disk) within(app string, need, use int64) error {
	promised := d.promised(app)
	all := sum(sum(need, use), promised)
	if d.budget == 0 || all <= d.budget {
		return nil
	}
	in, under := release.Apart(all, d.budget), ""
	if promised > 0 {
		under = fmt.Sprintf(" and %s needed by other apps' deploys under way", in(promised))
	}
	return fmt.Errorf("%w: need %s in %s, %s of its budget of %s in use%s: free some with crow peer gc, or raise disk_budget",
		errOverBudget, in(need), d.root, in(use), in(d.budget), under)
}

// renew looks again at what the budget leaves, once a job has staged as much as
// was left when it made its claim: files went and came since.
func (d *disk) renew(app string, bytes int64) error {
	d.mu.Lock()
	left := d.claims[app].left
	d.mu.Unlock()
	if d.budget == 0 || bytes <= left {
		return nil
	}
	use, err := d.use()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.within(app, bytes, use); err != nil {
		return err
	}
	c := d.claims[app]
	c.left = d.budget - use - d.promised(app)
	d.claims[app] = c
	return nil
}
