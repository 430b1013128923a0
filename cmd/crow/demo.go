package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/build"
)

// Limits and names of the demo.
const (
	demoHosts    = 5
	maxDemoHosts = 100 // real processes on one machine
	demoApp      = "demo"
	demoTimeout  = 10 * time.Minute
	demoStart    = 30 * time.Second // for all hosts to be there
)

// demo is the command that shows a whole fleet on this machine.
func (a *app) demo() *cli.Command {
	return &cli.Command{
		Name:      "demo",
		Usage:     "start a whole fleet on this machine, push a build to it and show what happens",
		ArgsUsage: "[ARTIFACT]",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "hosts", Usage: "number of hosts", Value: demoHosts},
			&cli.BoolFlag{Name: "keep", Usage: "let the fleet run until Ctrl-C, to try more"},
			&cli.BoolFlag{Name: "insecure", Usage: "go without TLS, gossip key and signatures"},
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			n := cmd.Int("hosts")
			if n < 1 || n > maxDemoHosts {
				return usagef("--hosts %d: want 1 to %d", n, maxDemoHosts)
			}
			o := demoOptions{path: cmd.Args().First(), hosts: n, keep: cmd.Bool("keep"), insecure: cmd.Bool("insecure")}
			return s.demo(ctx, o)
		}),
	}
}

// demoOptions are the demo as the command line asks for it.
type demoOptions struct {
	path     string // of the artifact
	hosts    int
	keep     bool // the fleet runs on
	insecure bool
}

// demo runs the demo in a temporary folder and leaves nothing behind.
func (s *session) demo(ctx context.Context, o demoOptions) (err error) {
	// The kernel ends the children when the thread that started them ends
	// (Pdeathsig), so they are started by a thread that stays.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A closed pipe must not end crow before it has tidied up.
	signal.Ignore(syscall.SIGPIPE)
	dir, err := os.MkdirTemp("", "crow-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, removeTree(dir)) }()
	if o.path == "" {
		if o.path, err = defaultArtifact(filepath.Join(dir, "source")); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	f, err := o.plan(dir)
	if err != nil {
		return err
	}
	defer f.stop()
	err = s.showFleet(ctx, f, o)
	f.stop()
	if ctx.Err() != nil && err != nil {
		return &fault{kind: interrupted, text: "demo interrupted: its fleet was ended", cause: err}
	}
	if err != nil {
		s.note("%s", f.tails())
	}
	return err
}

// plan prepares the fleet in dir.
func (o demoOptions) plan(dir string) (*demoFleet, error) {
	unpack, err := isArchive(o.path)
	if err != nil {
		return nil, err
	}
	var trust *demoTrust
	if !o.insecure {
		if trust, err = newDemoTrust(dir); err != nil {
			return nil, fmt.Errorf("demo: %w", err)
		}
	}
	f, err := planFleet(dir, o.hosts, unpack, trust)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return f, nil
}

// showFleet starts the fleet, pushes to it and tells what happened.
func (s *session) showFleet(ctx context.Context, f *demoFleet, o demoOptions) error {
	s.note("starting a seeder and %d hosts, each a process of its own, in %s", len(f.hosts), f.dir)
	s.note("what protects them: %s", f.trust.words())
	if err := f.start(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.seederURL, s.tls = f.url, f.trust.operator()
	c, err := s.client()
	if err != nil {
		return err
	}
	if err := f.await(ctx, c); err != nil {
		return err
	}
	s.note("all hosts are there; pushing %s\n  crow push %s --app %s --version 1.0.0 --target role=web", o.path, o.path, demoApp)
	ref := release.Ref{App: demoApp, Version: "1.0.0"}
	if err := f.whileAlive(ctx, func(ctx context.Context) error { return s.push(ctx, o.path, f.trust.push(ref)) }); err != nil {
		return err
	}
	if err := f.checkHooks(ref); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := s.demoSummary(ctx, c, f); err != nil {
		return err
	}
	if o.keep {
		return s.keepFleet(ctx, f)
	}
	s.note("\ntry next:\n  crow demo --keep              the fleet stays, for commands of your own\n  crow demo BUILD --hosts 20    a build of yours, to more hosts\n  crow init DIR --fleet NAME    what a fleet of real machines needs: see README.md")
	return nil
}

// keepFleet lets the fleet run, and tells how to reach it.
func (s *session) keepFleet(ctx context.Context, f *demoFleet) error {
	export, err := f.trust.export(f.url)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.note("\nthe fleet runs until Ctrl-C; in another terminal:\n  %s\n  crow hosts\n  crow status %s\n  crow push ANOTHER_BUILD --app %s --version 2.0.0", export, demoApp, demoApp)
	return f.hold(ctx)
}

// demoSummary shows each host's bytes by source.
func (s *session) demoSummary(ctx context.Context, c *control.Client, f *demoFleet) error {
	st, err := c.Status(ctx, demoApp, 0, 0)
	if err != nil {
		return err
	}
	if s.output != outputText {
		return nil // push wrote the document, which has it all
	}
	fmt.Fprintln(s.out)
	writeTable(s.out, demoRows(st, f.addresses()))
	fmt.Fprintf(s.out, "the deploy hook ran on all %d hosts\n", len(f.hosts))
	return nil
}

func demoRows(st control.DeployStatus, addresses map[string]string) [][]string {
	rows := [][]string{{"HOST", "ADDRESS", "FROM PEERS", "FROM SEEDER", "FETCH", "STAGE", "HOOK SAID"}}
	for _, h := range st.Hosts {
		said := "-"
		if tail := tailOf(h, 1); len(tail) > 0 {
			said = tail[0]
		}
		rows = append(rows, []string{
			h.Name, addresses[h.Name], sizeOf(h.Bytes.Peer), sizeOf(h.Bytes.Seeder + h.Bytes.Origin),
			secondsOf(h.FetchSeconds), secondsOf(h.StageSeconds), said,
		})
	}
	return rows
}

// formatPrefix is how much of an artifact tells its format, in bytes.
const formatPrefix = 256 << 10

// isArchive reports whether hosts can unpack the artifact.
func isArchive(path string) (bool, error) {
	src, err := build.Open(path)
	if err != nil {
		return false, err
	}
	defer src.Close()
	hasher := build.NewHasher()
	defer hasher.Close()
	if _, err := io.Copy(hasher, io.LimitReader(src, formatPrefix)); err != nil {
		return false, err
	}
	sum, err := hasher.Sum()
	return sum.Format.IsArchive(), err
}
