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
// names; a file with several links counts once. What cannot be looked at does not
// count.
func measure(root string, skip func(path string) bool) (total int64, err error) {
	for still, walks := false, 0; err == nil && !still && walks < maxWalks; walks++ {
		total, still, err = walk(root, skip)
	}
	if err != nil {
		return 0, fmt.Errorf("measure %s: %w", root, err)
	}
	return total, nil
}

// walk measures once, and reports whether nothing went meanwhile.
func walk(root string, skip func(path string) bool) (total int64, still bool, err error) {
	seen := map[inode]bool{}
	still = true
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
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
		if errors.Is(err, fs.ErrNotExist) {
			still = path == root
			return nil
		}
		if errors.Is(err, fs.ErrPermission) {
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
	return total, still, err
}

// maxWalks bounds how often data_dir is measured anew because something in it went
// meanwhile: what is renamed while it is measured may count under neither name.
const maxWalks = 3

// use is what data_dir takes, but for what other jobs are downloading: how far they
// have come changes while it is measured, and what they were promised counts whole.
// The caller holds the lock.
func (d *disk) use(app string) (use, promised int64, err error) {
	parts := map[string]bool{}
	for other, c := range d.claims {
		if other == app {
			continue
		}
		promised = sum(promised, sum(c.download, c.staging))
		if c.download > 0 {
			parts[c.part] = true
		}
	}
	use, err = d.measure(d.root, func(path string) bool { return parts[path] })
	return use, promised, err
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

// within compares what an app's job needs with what the budget leaves, and returns
// what that is. The caller holds the lock.
func (d *disk) within(app string, need int64) (left int64, err error) {
	if d.budget == 0 {
		return 0, nil
	}
	use, promised, err := d.use(app)
	if err != nil {
		return 0, err
	}
	all := sum(sum(need, use), promised)
	if all <= d.budget {
		return d.budget - use - promised, nil
	}
	in, under := release.Apart(all, d.budget), ""
	if promised > 0 {
		under = fmt.Sprintf(" and %s needed by other apps' deploys under way", in(promised))
	}
	return 0, fmt.Errorf("%w: need %s in %s, %s of its budget of %s in use%s: free some with crow peer gc, or raise disk_budget",
		errOverBudget, in(need), d.root, in(use), in(d.budget), under)
}

// renew looks again at what the budget leaves, once a job has staged as much as
// was left when it made its claim: files went and came since. The caller holds the
// lock.
func (d *disk) renew(app string, bytes int64) error {
	c := d.claims[app]
	if d.budget == 0 || bytes <= c.left {
		return nil
	}
	left, err := d.within(app, bytes)
	if err != nil {
		return err
	}
	c.left = left
	d.claims[app] = c
	return nil
}
