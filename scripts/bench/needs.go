package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// inspection is what of bench's needs this machine has.
type inspection struct {
	root, ip, tc, aria2, libtorrent bool
	crow                            string // path of the binary; empty: there is none
	crowAsked                       string // where it was looked for
	leftBehind                      []string
}

func inspect(ctx context.Context, crow string) inspection {
	has := func(name string) bool { _, err := exec.LookPath(name); return err == nil }
	i := inspection{root: os.Geteuid() == 0, ip: has("ip"), tc: has("tc"), aria2: has("aria2c"), crowAsked: crow}
	_, err := command(ctx, debianPython, "-c", "import libtorrent")
	i.libtorrent = err == nil
	if path, err := exec.LookPath(crow); err == nil {
		if version, err := command(ctx, path, "version"); err == nil && strings.HasPrefix(version, "crow ") {
			i.crow = path
		}
	}
	if list, err := command(ctx, "ip", "netns", "list"); err == nil {
		i.leftBehind = leftBehind(list, func(pid string) bool { _, err := os.Stat("/proc/" + pid); return err == nil })
	}
	return i
}

// need is something without which some systems, or all, can't run.
type need struct {
	met     bool
	missing string
	remedy  string
	of      []string // systems; empty: all that have a network
}

func (i inspection) needs() []need {
	return []need{
		{i.root, "network namespaces need root", "run bin/bench, which make bench builds, with sudo and the same flags", nil},
		{i.ip && i.tc, "ip or tc is missing", "apt-get install iproute2", nil},
		{i.aria2, "aria2c is missing", "apt-get install aria2", []string{nameAria2}},
		{i.libtorrent, debianPython + " has no libtorrent", "apt-get install python3-libtorrent", []string{nameLibtorrent}},
	}
}

// needsCrow is why nothing is to run where crow is missing: bench is there to
// measure it, and a table without it is no result. The other BitTorrent clients use
// its tracker.
func (i inspection) needsCrow(wanted []string) error {
	without := []string{nameHTTP1, nameHTTP}
	of := slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(without, name) })
	if i.crow != "" || len(of) == 0 {
		return nil
	}
	return fmt.Errorf("--crow-binary: there is no crow at %s, which %s need: make build, or --systems http1,http", i.crowAsked, strings.Join(of, ", "))
}

// runnable are the wanted systems that can run here, and for people what is
// left out, why, and what would help.
func runnable(wanted []string, i inspection) (systems, notes []string) {
	systems = slices.Clone(wanted)
	for _, n := range i.needs() {
		if n.met {
			continue
		}
		var out []string
		systems = slices.DeleteFunc(systems, func(name string) bool {
			gone := n.of == nil && name != nameScale || slices.Contains(n.of, name)
			if gone {
				out = append(out, name)
			}
			return gone
		})
		if len(out) > 0 {
			notes = append(notes, fmt.Sprintf("%s left out: %s; %s", strings.Join(out, ", "), n.missing, n.remedy))
		}
	}
	return systems, notes
}
