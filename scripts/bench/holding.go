package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is a unit of CPU time in /proc: USER_HZ, which is 100 on every
// architecture of Linux that Go has.
const clockTick = time.Second / 100

// cpuOf is what a process has used so far, without its children.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(b))
}

// parseCPU finds utime and stime in a /proc/PID/stat. The program's name comes
// before them, in brackets, and may have anything in it.
func parseCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat %q: it has %d fields", stat, len(fields))
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err, err2)
}

// holding is what a daemon holds at one time.
type holding struct {
	RSS        int64 `json:"rss_bytes"`
	Goroutines int   `json:"goroutines"`
	Files      int   `json:"open_files"`
	Disk       int64 `json:"disk_bytes"` // of its data folder, in blocks
}

func holdingOf(ctx context.Context, pid int, metrics string, calls *http.Client, data string) (h holding, err error) {
	h.RSS = parseMemory(contents(fmt.Sprintf("/proc/%d/status", pid)), "VmRSS:")
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return h, err
	}
	h.Files = len(files)
	if h.Disk, err = diskOf(data); err != nil {
		return h, err
	}
	h.Goroutines, err = goroutinesOf(ctx, metrics, calls)
	return h, err
}

// goroutinesOf reads how many there are from a daemon's metrics.
func goroutinesOf(ctx context.Context, url string, calls *http.Client) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := calls.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			return strconv.Atoi(value)
		}
	}
	return 0, fmt.Errorf("%s: no go_goroutines: %s, %w", url, res.Status, lines.Err())
}

// diskOf is what a folder takes on disk. Files may go while it is counted.
func diskOf(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				if s, ok := info.Sys().(*syscall.Stat_t); ok {
					total += s.Blocks * 512
				}
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return total, err
}
