package hook

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// errBusy is the error of a Run that could not begin, because an earlier hook
// with the same record goes on and could not be ended.
var errBusy = errors.New("another hook of this app is still running")

// runKey is the environment variable that carries a record's id.
const runKey = "CROW_HOOK_RUN"

// recordPoll is how often a hook of an earlier agent is looked at.
const recordPoll = 50 * time.Millisecond

// maxRecordLen bounds a record that is read, in bytes.
const maxRecordLen = 4 << 10

// record is what the file notes of a hook that runs.
type record struct {
	ID       string        `json:"id"`             // random; in the hook's environment
	Boot     string        `json:"boot"`           // of the kernel: a reboot ends every hook
	Ends     time.Duration `json:"ends,omitempty"` // when its time is over, by the clock of uptime
	Deadline time.Time     `json:"deadline"`       // the same by the wall clock, for an earlier crow, which wrote no more
	Process  ident         `json:"process"`        // zero until it has been started

	path string
}

// newRecord notes that a hook is about to be started.
func newRecord(path string, timeout time.Duration) (*record, error) {
	if path == "" {
		return &record{}, nil
	}
	boot, err := BootID()
	if err != nil {
		return nil, fmt.Errorf("note hook: %w", err)
	}
	up, err := uptime()
	if err != nil {
		return nil, fmt.Errorf("note hook: %w", err)
	}
	r := &record{ID: rand.Text(), Boot: boot, Ends: up + timeout, Deadline: time.Now().Add(timeout), path: path}
	return r, r.save()
}

func (r *record) env() []string {
	if r.path == "" {
		return nil
	}
	return []string{runKey + "=" + r.ID}
}

// write notes the process of the hook. One that has ended already needs none.
func (r *record) write(pid int) error {
	if r.path == "" {
		return nil
	}
	p, err := inspect(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note hook: %w", err)
	}
	r.Process = p.ident
	return r.save()
}

// save replaces the file in one step. It is not synced: what a crash of the
// host takes away with it are the record and the hook. The dot keeps the
// temporary name from being that of another app.
func (r *record) save() error {
	tmp := filepath.Join(filepath.Dir(r.path), "."+filepath.Base(r.path)+".new")
	b, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(tmp, b, 0o600)
	}
	if err == nil {
		err = os.Rename(tmp, r.path)
	}
	if err != nil {
		return fmt.Errorf("note hook: %w", err)
	}
	return nil
}

func (r *record) remove() error {
	if r.path == "" {
		return nil
	}
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget hook: %w", err)
	}
	return nil
}

// readRecord returns nil when there is no record of this boot. Half a record is
// one that a crash of the host left.
func readRecord(path string) (*record, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() > maxRecordLen {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &record{path: path}
	if json.Unmarshal(b, r) != nil {
		return nil, nil
	}
	boot, err := BootID()
	if err != nil || boot != r.Boot {
		return nil, err
	}
	return r, nil
}

// uptime is how long the kernel has been up, as every process of this boot reads it,
// whatever is done to the clock on the wall. What the machine sleeps does not count,
// as it does not for the timers of this process.
func uptime() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano()), err
}

// left is how much of its time the hook has left.
func (r *record) left() (time.Duration, error) {
	if r.Ends == 0 {
		return time.Until(r.Deadline), nil
	}
	up, err := uptime()
	return r.Ends - up, err
}

// awaitOther waits for the hook of an earlier agent, which may have died or be
// in another goroutine, and ends its process group when its time is over; at
// the latest after limit, whatever the record says.
func awaitOther(ctx context.Context, path string, limit time.Duration) error {
	if path == "" {
		return nil
	}
	r, err := readRecord(path)
	if err != nil {
		return fmt.Errorf("look for an earlier hook: %w", err)
	}
	if r == nil {
		return nil
	}
	p, err := r.find()
	if err != nil || p == nil {
		return err
	}
	left, err := r.left()
	if err != nil {
		return fmt.Errorf("look for an earlier hook: %w", err)
	}
	end := time.Now().Add(min(left, limit))
	for p.alive() {
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("was not started: %w", context.Cause(ctx))
		case time.Now().After(end):
			return p.endGroup()
		}
		pause(ctx, recordPoll)
	}
	return nil
}

// find returns the recorded hook if it still runs, or else nil.
func (r *record) find() (*other, error) {
	if r.Process.PID == 0 {
		return search(runKey + "=" + r.ID)
	}
	p, err := inspect(r.Process.PID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for an earlier hook: %w", err)
	case p.ident != r.Process || p.dead:
		return nil, nil
	}
	return &p, nil
}
