package peer

import (
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"crow/internal/release"
	"crow/internal/store"
)

// disk shares out what is free under data_dir among the jobs, and what its budget
// leaves: what one of them has claimed and not yet written is not there for the
// others, and the margin is there for nobody.
type disk struct {
	root   string
	margin int64        // bytes
	budget int64        // bytes that all of root may take; 0: what there is
	kept   atomic.Int64 // bytes of it that making room would leave, as last surveyed

	// measure is the function of that name, but for tests.
	measure func(root string, skip func(path string) bool) (int64, error)

	// mu is held from the look at what there is to the claim of it: between them
	// another job could claim the same room, write, and be done.
	mu     sync.Mutex
	claims map[string]claim // by app, as each has one job at most, or by the path of a download that is no job's
}

// claim is what a job has yet to write, in bytes.
type claim struct {
	part     string // the download, as far as it has come
	download int64  // its size when it is whole
	staging  int64
	file     int64 // of staging, what is being written now
	left     int64 // of the budget, for what is staged beyond the claim
}

func newDisk(root string, margin, budget release.Size) *disk {
	return &disk{root: root, margin: int64(margin), budget: int64(budget), measure: measure, claims: map[string]claim{}}
}

func (c claim) outstanding() int64 {
	return sum(max(0, c.download-allocated(c.part)), c.staging)
}

// claim is what an app's job will write, in place of what it claimed before. It
// is an error if that is more than there is, and errOverBudget if it is more
// than the budget leaves.
func (d *disk) claim(app string, c claim) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	need := c.outstanding()
	if err := d.check(app, need); err != nil {
		return err
	}
	left, err := d.within(app, need)
	if err != nil {
		return err
	}
	c.left = left
	d.claims[app] = c
	return nil
}

// arrived ends the part of a claim that is for the download.
func (d *disk) arrived(app string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.claims[app]
	c.part, c.download = "", 0
	d.claims[app] = c
}

// take is asked before a file of so many bytes is staged; the one before is
// written. The claim was an estimate: a job may go beyond it as long as there is
// room.
func (d *disk) take(app string, bytes int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.renew(app, bytes); err != nil {
		return err
	}
	if err := d.check(app, bytes); err != nil {
		return err
	}
	c := d.claims[app]
	c.staging, c.file, c.left = max(c.staging-c.file, bytes), bytes, c.left-bytes
	d.claims[app] = c
	return nil
}

// letGo ends an app's claim.
func (d *disk) letGo(app string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.claims, app)
}

// check compares what an app's job needs with what is free. The caller holds
// the lock.
func (d *disk) check(app string, bytes int64) error {
	free, err := store.Free(d.root)
	if err != nil {
		return err
	}
	return room(d.root, sum(bytes, d.margin), free, d.promised(app))
}

// promised is what the jobs of other apps have yet to write. The caller holds
// the lock.
func (d *disk) promised(app string) int64 {
	promised := int64(0)
	for other, c := range d.claims {
		if other != app {
			promised = sum(promised, c.outstanding())
		}
	}
	return promised
}

// left is what may still be written, in bytes; nil if that is not known. It is
// asked beside the jobs, which may be waiting for a disk that hangs.
func (d *disk) left() *int64 {
	free, err := store.Free(d.root)
	if err != nil {
		return nil
	}
	free -= d.margin
	if d.budget > 0 {
		free = min(free, d.budget-d.kept.Load())
	}
	free = max(0, free)
	return &free
}

// room words the lack of it.
func room(dir string, need, free, promised int64) error {
	in := release.Apart(sum(need, promised), free)
	switch {
	case sum(need, promised) <= free:
		return nil
	case promised == 0:
		return fmt.Errorf("disk full: need %s in %s, %s free", in(need), dir, in(free))
	}
	return fmt.Errorf("disk full: need %s in %s, %s free and %s of it needed by other apps' deploys under way", in(need), dir, in(free), in(promised))
}

// sum adds sizes without overflow.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// blockSize is that of st_blocks, whatever the file system's own.
const blockSize = 512

// allocated is how much disk a file takes already, in bytes.
func allocated(path string) int64 {
	fi, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return fi.Sys().(*syscall.Stat_t).Blocks * blockSize
}
