package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/release"
)

// facts are what the figures depend on besides crow.
type facts struct {
	Date     time.Time         `json:"date"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   int64             `json:"memory_bytes"`
	Load     string            `json:"load_average"` // of one minute, before the start
	Kernel   string            `json:"kernel"`
	Go       string            `json:"go"` // of bench; crow's own version names its
	Versions map[string]string `json:"versions"`
	Command  string            `json:"command"`
}

func gather(ctx context.Context, crow, commandLine string) facts {
	f := facts{
		Date: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Kernel: kernel(), Go: runtime.Version(),
		CPU:    cpuModel(contents("/proc/cpuinfo")),
		Memory: totalMemory(contents("/proc/meminfo")),
		Load:   firstField(contents("/proc/loadavg")), Versions: map[string]string{}, Command: commandLine,
	}
	for _, v := range []struct {
		name string
		args []string
	}{
		{nameCrow, []string{crow, "version"}},
		{nameAria2, []string{"aria2c", "--version"}},
		{nameLibtorrent, []string{debianPython, "-c", "import libtorrent; print('libtorrent', libtorrent.__version__)"}},
	} {
		if out, err := command(ctx, v.args[0], v.args[1:]...); err == nil { // else it does not run either
			line, _, _ := strings.Cut(out, "\n")
			f.Versions[v.name] = strings.TrimSpace(line)
		}
	}
	return f
}

// lines are the facts as a Markdown list.
func (f facts) lines() string {
	var versions []string
	for _, name := range []string{nameCrow, nameAria2, nameLibtorrent} {
		if v := f.Versions[name]; v != "" {
			versions = append(versions, v)
		}
	}
	return fmt.Sprintf("- %s, %s\n- %s, %d cores, %s of memory, load %s before the start\n- %s; %s\n- `%s`\n",
		f.Date.Format("2006-01-02 15:04 MST"), f.Kernel, f.CPU, f.Cores, release.Size(f.Memory), f.Load, f.Go, strings.Join(versions, "; "), f.Command)
}

func contents(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "" // an unknown fact, not a reason to stop
	}
	return string(b)
}

// cpuModel finds the name of the first core in /proc/cpuinfo.
func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "unknown " + runtime.GOARCH + " CPU"
}

// totalMemory finds MemTotal in /proc/meminfo, in bytes.
func totalMemory(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		if value, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

func firstField(s string) string {
	if fields := strings.Fields(s); len(fields) > 0 {
		return fields[0]
	}
	return "unknown"
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown kernel"
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}
