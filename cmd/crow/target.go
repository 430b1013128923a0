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

// requireMatch fails if the selector matches no host, or one of its targets
// none, so that a slip of the fingers costs no upload. Without targets those of
// the app's last deploy count, but not its excludes. The seeder decides again
// when the deploy is created. An exclude that matches no host may be of one that is
// gone for good: it is told, for who mistyped one deploys to hosts that he meant to
// spare.
func (s *session) requireMatch(ctx context.Context, c *control.Client, app string, sel release.Selector) error {
	inherited := len(sel.Targets) == 0
	if inherited {
		var err error
		if sel.Targets, err = lastTargets(ctx, c, app); err != nil {
			return err
		}
	}
	hosts, err := c.Hosts(ctx, nil)
	if err != nil {
		return err
	}
	if !inherited {
		if err := requireEach(hosts, sel.Targets); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(hosts, func(h control.Host) bool {
		return h.State != control.HostLeft && sel.Match(h.Name, h.Labels)
	}) {
		return noHostFault(sel)
	}
	switch idle := idleOf(hosts, sel.Excludes); len(idle) {
	case 0:
	case 1:
		s.note("warning: --exclude %s matches no host", idle[0])
	default:
		s.note("warning: --exclude %s match no host", someOf(idle, idleShown))
	}
	return nil
}

// lastTargets are those of the app's last deploy.
func lastTargets(ctx context.Context, c *control.Client, app string) ([]release.Expr, error) {
	last, err := c.Status(ctx, app, 0, 0)
	if answer, ok := errors.AsType[*control.Error](err); ok && answer.Code == control.CodeNotFound {
		return nil, &fault{
			kind: usage, cause: err, hint: "say which hosts: --target role=web",
			text: fmt.Sprintf("--target is missing: %s has no earlier deploy to take it from", app),
		}
	}
	return last.Target.Targets, err
}

// idleShown is how many targets that match nothing an error names.
const idleShown = 5

// requireEach fails if one of the targets matches no host that is known.
func requireEach(hosts []control.Host, targets []release.Expr) error {
	idle := idleOf(hosts, targets)
	switch len(idle) {
	case 0:
		return nil
	case 1:
		return &fault{kind: noHost, hint: "crow hosts", text: fmt.Sprintf("target %s matches no host", idle[0])}
	}
	return &fault{kind: noHost, hint: "crow hosts", text: fmt.Sprintf("targets %s match no host", someOf(idle, idleShown))}
}

// idleOf are the expressions that match no host that is known.
func idleOf(hosts []control.Host, exprs []release.Expr) (idle []string) {
	names := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		names[h.Name] = true
	}
	for _, e := range exprs {
		// Files of thousands of names are not tried on thousands of hosts.
		if name, ok := strings.CutPrefix(string(e), "name="); ok && release.ValidateHost(name) == nil {
			if !names[name] {
				idle = append(idle, string(e))
			}
			continue
		}
		if !slices.ContainsFunc(hosts, func(h control.Host) bool { return e.Match(h.Name, h.Labels) }) {
			idle = append(idle, string(e))
		}
	}
	return idle
}

func noHostFault(sel release.Selector) error {
	return &fault{kind: noHost, text: fmt.Sprintf("no host matches %s", sel), hint: "crow hosts"}
}
