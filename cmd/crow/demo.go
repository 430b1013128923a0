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
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			n := cmd.Int("hosts")
			if n < 1 || n > maxDemoHosts {
				return usagef("--hosts %d: want 1 to %d", n, maxDemoHosts)
			}
			return s.demo(ctx, cmd.Args().First(), n, cmd.Bool("keep"))
		}),
	}
}

// demo runs the demo in a temporary folder and leaves nothing behind.
func (s *session) demo(ctx context.Context, path string, hosts int, keep bool) (err error) {
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
	if path == "" {
		if path, err = defaultArtifact(filepath.Join(dir, "source")); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	unpack, err := isArchive(path)
	if err != nil {
		return err
	}
	f, err := planFleet(dir, hosts, unpack)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer f.stop()
	err = s.showFleet(ctx, f, path, keep)
	f.stop()
	if ctx.Err() != nil && err != nil {
		return &fault{kind: interrupted, text: "demo interrupted: its fleet was ended", cause: err}
	}
	if err != nil {
		s.note("%s", f.tails())
	}
	return err
}

// showFleet starts the fleet, pushes to it and tells what happened.
func (s *session) showFleet(ctx context.Context, f *demoFleet, path string, keep bool) error {
	s.note("starting a seeder and %d hosts, each a process of its own, in %s", len(f.hosts), f.dir)
	if err := f.start(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.seederURL = f.url
	c, err := s.client()
	if err != nil {
		return err
	}
	if err := f.await(ctx, c); err != nil {
		return err
	}
	s.note("all hosts are there; pushing %s\n  crow push %s --app %s --version 1.0.0 --target role=web", path, path, demoApp)
	ref := release.Ref{App: demoApp, Version: "1.0.0"}
	o := rollout{ref: ref, selector: release.Selector{Targets: []release.Expr{"role=web"}}, timeout: demoTimeout}
	if err := s.push(ctx, path, o); err != nil {
		return err
	}
	if err := f.checkHooks(ref); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := s.demoSummary(ctx, c, f); err != nil {
		return err
	}
	if keep {
		s.note("\nthe fleet runs until Ctrl-C; in another terminal:\n  export CROW_SEEDER=%s\n  crow hosts\n  crow status %s\n  crow push ANOTHER_BUILD --app %s --version 2.0.0", f.url, demoApp, demoApp)
		return f.hold(ctx)
	}
	s.note("\ntry next:\n  crow demo --keep              the fleet stays, for commands of your own\n  crow demo BUILD --hosts 20    a build of yours, to more hosts\nand see README.md for a fleet of real machines")
	return nil
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
