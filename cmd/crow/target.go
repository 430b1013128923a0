package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// maxTargetFile bounds an @file of names, in bytes: release.MaxExprs names of
// the longest kind and comments.
const maxTargetFile = 4 << 20

// targetFlags choose the hosts of a deploy.
func targetFlags() []cli.Flag {
	return []cli.Flag{
		targetFlag("hosts to deploy to", "as the app's last deploy"),
		&cli.StringSliceFlag{Name: "exclude", Usage: "hosts to leave out of these: `EXPR` or @FILE"},
	}
}

// targetFlag is --target for a purpose, with what goes without it.
func targetFlag(purpose, otherwise string) cli.Flag {
	return &cli.StringSliceFlag{Name: "target", Usage: fmt.Sprintf(
		"%s: `EXPR` such as role=web,zone!=b or name=web-0*, or @FILE of names; several are or (default: %s)", purpose, otherwise)}
}

// selectorOf reads --target and --exclude.
func selectorOf(cmd *cli.Command) (release.Selector, error) {
	var s release.Selector
	var err error
	if s.Targets, err = exprsOf("--target", cmd.StringSlice("target")); err != nil {
		return s, err
	}
	if s.Excludes, err = exprsOf("--exclude", cmd.StringSlice("exclude")); err != nil {
		return s, err
	}
	return s, s.Validate()
}

// exprsOf expands @FILE and checks each expression.
func exprsOf(flag string, values []string) ([]release.Expr, error) {
	var exprs []release.Expr
	for _, v := range values {
		path, isFile := strings.CutPrefix(v, "@")
		if !isFile {
			exprs = append(exprs, release.Expr(v))
			continue
		}
		names, err := readNames(path)
		if err != nil {
			return nil, &fault{kind: usage, text: fmt.Sprintf("%s @%s: %s", flag, path, reason(err)), cause: err}
		}
		exprs = append(exprs, names...)
	}
	for _, e := range exprs {
		if err := e.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
	}
	return exprs, nil
}

// readNames reads a file of host names, one a line; # begins a comment.
func readNames(path string) ([]release.Expr, error) {
	b, err := readBounded(path, maxTargetFile)
	if err != nil {
		return nil, err
	}
	var exprs []release.Expr
	number := 0
	for line := range strings.Lines(string(b)) {
		number++
		name, _, _ := strings.Cut(line, "#")
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if err := release.ValidateHost(name); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		exprs = append(exprs, release.Expr("name="+name))
	}
	if len(exprs) == 0 {
		return nil, errors.New("it names no host")
	}
	return exprs, nil
}

// requireMatch fails if the selector matches no host, so that a slip of the
// fingers costs no upload. Without targets those of the app's last deploy
// count, with its excludes; the seeder decides again when the deploy is created.
func requireMatch(ctx context.Context, c *control.Client, app string, sel release.Selector) error {
	if len(sel.Targets) == 0 {
		last, err := c.Status(ctx, app, 0, 0)
		if answer, ok := errors.AsType[*control.Error](err); ok && answer.Code == control.CodeNotFound {
			return &fault{
				kind: usage, cause: err, hint: "say which hosts: --target role=web",
				text: fmt.Sprintf("--target is missing: %s has no earlier deploy to take it from", app),
			}
		}
		if err != nil {
			return err
		}
		sel.Targets = last.Target.Targets
		sel.Excludes = slices.Concat(last.Target.Excludes, sel.Excludes)
	}
	hosts, err := hostsOf(ctx, c, sel)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(hosts, func(h control.Host) bool { return h.State != control.HostLeft }) {
		return noHostFault(sel)
	}
	return nil
}

func noHostFault(sel release.Selector) error {
	return &fault{kind: noHost, text: fmt.Sprintf("no host matches %s", sel), hint: "crow hosts"}
}
