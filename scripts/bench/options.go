package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"crow/internal/release"
)

// Bounds of what can be asked for.
const (
	maxHosts = 1000 // the bridge has 1024 ports
	maxApps  = 16
	maxRuns  = 100

	maxScale   = 10_000
	maxDeploys = 100_000
)

const usage = `usage: bench [flags]    (or: make bench BENCH_FLAGS='...')

Times bringing one random file from host 0 to N hosts in network namespaces.
Without flags: 16 hosts, 64 MiB, 50mbit links, all systems, one run; about five minutes.
--preset equal is the whole table: five scenarios, five runs; about three and a half hours,
more than two of them plain HTTP to all hosts at once (leave it out: --systems http1,aria2,libtorrent,crow,crow-tls).
--scale 1000 measures the seeder of a large fleet instead, in half a minute and without root;
--scale 20 --deploys 1000 what many deploys leave there.

`

// options are the command line.
type options struct {
	scenarios  []scenario
	systems    []string // http1 first
	runs       int
	crowBinary string        // to measure
	piece      release.Size  // of the rivals' torrents; 0: as crow would cut the file
	limit      time.Duration // of one system's run; 0: by the yardstick
	uneven     bool          // also crow with one host at a tenth of the others' rate
	late       bool          // also crow with one host that starts halfway
	fleetSize  int           // of a --scale, which is all that is run then; 0: none
	deploys    int           // of a --scale, one after another
	apps       int           // also crow with so many apps pushed at once; below 2: not
	json       string        // path of the figures; empty: none
	logs       string        // folder for the logs of failed runs; empty: they are removed
	work       string        // folder for the files that are moved
}

// wanted are the systems and trials that were asked for, in the order in which
// they run: the yardstick first, trials after what they are compared with.
func (o options) wanted() []string {
	if o.fleetSize > 0 {
		return []string{nameScale}
	}
	all := o.systems
	for _, t := range []struct {
		name string
		on   bool
	}{{nameUneven, o.uneven}, {nameLate, o.late}, {nameApps, o.apps > 1}} {
		if t.on {
			all = append(slices.Clip(all), t.name)
		}
	}
	return all
}

// rawOptions are flags that need more than the flag package's parsing.
type rawOptions struct {
	hosts               int
	size, rate, systems string
	preset, piece       string
}

// parseOptions reads the command line; help is printed where it asks for it.
func parseOptions(args []string, help io.Writer) (options, error) {
	var o options
	var raw rawOptions
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is told once, by the caller
	define(flags, &o, &raw)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(help, usage)
		flags.SetOutput(help)
		flags.PrintDefaults()
	}
	if err != nil {
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q: want flags only", flags.Arg(0))
	}
	return o, o.complete(raw, given)
}

func define(flags *flag.FlagSet, o *options, raw *rawOptions) {
	flags.StringVar(&raw.preset, "preset", "", "equal: `NAME` of a set of scenarios, in place of --hosts, --size and --rate")
	flags.IntVar(&raw.hosts, "hosts", 16, "hosts that get the file")
	flags.StringVar(&raw.size, "size", "64MiB", "size of the file")
	flags.StringVar(&raw.rate, "rate", "50mbit", "rate of each host's link in each direction, as tc writes it, or none")
	flags.StringVar(&raw.systems, "systems", strings.Join(systemNames(), ","), "what to measure; http1 always runs first")
	flags.IntVar(&o.runs, "runs", 1, "runs of each system (5 with --preset)")
	flags.StringVar(&o.crowBinary, "crow-binary", "bin/crow", "the crow to measure; its tracker serves the other BitTorrent clients too")
	flags.StringVar(&raw.piece, "piece", "", "piece length of the other clients' torrents (default: as crow cuts the file)")
	flags.DurationVar(&o.limit, "limit", 0, "when a run counts as stalled and failed (default: ten times http1 and a minute)")
	flags.BoolVar(&o.uneven, "uneven", false, "also crow with one host at a tenth of the others' rate, where links are shaped")
	flags.BoolVar(&o.late, "join-late", false, "also crow with one host that starts halfway")
	flags.IntVar(&o.apps, "apps", 0, "also crow with so many apps pushed at once to the same hosts")
	flags.IntVar(&o.fleetSize, "scale", 0, "in place of transfers: one seeder and so many simulated hosts, which move no bytes")
	flags.IntVar(&o.deploys, "deploys", 1, "with --scale: so many deploys in a row, by fast hosts, and what they leave")
	flags.StringVar(&o.json, "json", "", "`FILE` that gets every figure of every run")
	flags.StringVar(&o.logs, "logs", "", "`FOLDER` that gets the logs of failed runs")
	flags.StringVar(&o.work, "work", os.TempDir(), "`FOLDER` for the files that are moved")
}

// complete parses the raw values and checks all.
func (o *options) complete(raw rawOptions, given map[string]bool) error {
	if given["scale"] || given["deploys"] {
		return o.completeScale(given)
	}
	var err error
	if o.scenarios, err = scenariosOf(raw, given); err != nil {
		return err
	}
	if raw.preset != "" && !given["runs"] {
		o.runs = 5
	}
	if o.systems, err = parseSystems(raw.systems); err != nil {
		return err
	}
	if raw.piece != "" {
		if o.piece, err = release.ParseSize(raw.piece); err != nil {
			return fmt.Errorf("--piece: %w", err)
		}
	}
	if err := cmp.Or(o.check(), o.checkTrials()); err != nil {
		return err
	}
	// What a trial is compared with has to run too.
	if (o.uneven || o.late || o.apps > 1) && !slices.Contains(o.systems, nameCrow) {
		o.systems = append(o.systems, nameCrow)
	}
	return nil
}

// completeScale checks what is asked of a --scale. It knows no links and no other
// systems.
func (o *options) completeScale(given map[string]bool) error {
	for _, name := range []string{"preset", "hosts", "size", "rate", "systems", "piece", "uneven", "join-late", "apps"} {
		if given[name] {
			return fmt.Errorf("--%s: --scale and --deploys go without it", name)
		}
	}
	switch {
	case o.fleetSize < 1 || o.fleetSize > maxScale:
		return fmt.Errorf("--scale %d: want 1 to %d hosts", o.fleetSize, maxScale)
	case o.deploys < 1 || o.deploys > maxDeploys:
		return fmt.Errorf("--deploys %d: want 1 to %d", o.deploys, maxDeploys)
	}
	return o.check()
}

func (o *options) check() error {
	switch {
	case o.runs < 1 || o.runs > maxRuns:
		return fmt.Errorf("--runs %d: want 1 to %d", o.runs, maxRuns)
	case o.apps < 0 || o.apps > maxApps:
		return fmt.Errorf("--apps %d: want 2 to %d, or 0 for none", o.apps, maxApps)
	case o.limit < 0:
		return fmt.Errorf("--limit %s: want a time above zero", o.limit)
	case o.piece != 0 && (o.piece < 16<<10 || o.piece&(o.piece-1) != 0):
		return fmt.Errorf("--piece %s: want a power of two of 16KiB or more", o.piece)
	}
	return nil
}

// checkTrials makes sure that there is what trials change.
func (o *options) checkTrials() error {
	shaped := func(s scenario) bool { return s.Rate > 0 }
	if o.uneven && !slices.ContainsFunc(o.scenarios, shaped) {
		return errors.New("--uneven: wants shaped links, such as --rate 50mbit")
	}
	if alone := o.scenarios[0].Hosts < 2; alone && (o.uneven || o.late) { // presets have more
		return errors.New("--uneven and --join-late: want two hosts or more")
	}
	return nil
}

// parseSystems reads a list of systems and puts the yardstick first.
func parseSystems(list string) ([]string, error) {
	systems := []string{nameHTTP1}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case !slices.Contains(systemNames(), name):
			return nil, fmt.Errorf("--systems %q: want some of %s", name, strings.Join(systemNames(), ","))
		case !slices.Contains(systems, name):
			systems = append(systems, name)
		}
	}
	return systems, nil
}
