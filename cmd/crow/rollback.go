package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// rollback is the command that goes back to an older release: it signs the
// statement without which hosts refuse it, and deploys it.
func (a *app) rollback() *cli.Command {
	flags := append([]cli.Flag{
		&cli.StringFlag{Name: "to", Usage: "`VERSION` to go back to (default: the last that was deployed with success before the newest)"},
		signKeyFlag(),
		&cli.DurationFlag{Name: "expires", Usage: "how long hosts may go back by this statement, at most until there is a newer release", Value: statementLife},
	}, deployFlags()...)
	return &cli.Command{
		Name:      "rollback",
		Usage:     "go back to an older release and wait until it is live",
		ArgsUsage: "APP",
		Flags:     flags,
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			app := cmd.Args().First()
			if err := release.ValidateApp(app); err != nil {
				return usagef("rollback: which app? %v", err)
			}
			signer, err := s.signer(ctx, cmd)
			if err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if d := cmd.Duration("expires"); d < time.Second {
				return usagef("--expires %s: want a second or more, such as 168h", d)
			}
			target, newest, err := rollbackTarget(ctx, c, app, cmd.String("to"), signer)
			if err != nil {
				return err
			}
			s.note("rollback of %s to %s, made on %s, sha256 %s", app, target.Version, target.Created.Local().Format(time.DateTime), target.SHA256)
			o, err := rolloutOf(cmd, target.Ref())
			if err != nil {
				return err
			}
			if err := requireMatch(ctx, c, app, o.selector); err != nil {
				return err
			}
			o.signer = signer
			if o.rollback, err = signer.rollback(target, newest, cmd.Duration("expires")); err != nil {
				return err
			}
			return s.rollOut(ctx, c, s.newPrinter(), o)
		}),
	}
}

// statementLife is long enough for hosts that are off over a week, and bounds how
// long a seeder could move hosts back and forth by it.
const statementLife = 8 * 24 * time.Hour

// rollbackTarget finds the release to go back to, and the highest counter that a
// host may have accepted by now.
func rollbackTarget(ctx context.Context, c *control.Client, app, version string, g signer) (target control.Release, newest uint64, err error) {
	all, err := c.Releases(ctx, app)
	if err != nil {
		return target, 0, err
	}
	if version == "" {
		if version, err = previousVersion(ctx, c, app); err != nil {
			return target, 0, err
		}
	}
	known := g.known(all)
	for _, r := range known {
		if r.Version == version {
			return r, nextCounter(known, time.Now()) - 1, nil
		}
	}
	text := fmt.Sprintf("no release %s@%s to go back to", app, version)
	if len(g.keys) > 0 {
		text += " that is signed by a key of yours or of trust in your config"
	}
	return target, 0, &fault{kind: usage, text: text, hint: "crow releases " + app}
}

// previousVersion is what rollback goes back to when nobody says.
func previousVersion(ctx context.Context, c *control.Client, app string) (string, error) {
	history, err := c.History(ctx, app, control.MaxHistory)
	if err != nil {
		return "", err
	}
	if version := versionBefore(history); version != "" {
		return version, nil
	}
	return "", &fault{kind: usage, text: fmt.Sprintf("rollback of %s: no earlier deploy of another version succeeded", app), hint: "crow rollback " + app + " --to VERSION"}
}

// versionBefore finds, in an app's history, newest first, the last version that a
// deploy brought to its hosts before the one that the newest deploy is of. A
// rollback that did not succeed is tried again. Empty is none.
func versionBefore(history []control.HistoryEntry) string {
	succeeded := map[string]bool{} // deploys
	var newest *control.HistoryEntry
	for i, e := range history {
		switch {
		case e.Action == control.ActionEnded && e.Result == release.DeploySucceeded.String():
			succeeded[e.Deploy] = true
			if newest != nil && e.Version != newest.Version {
				return e.Version
			}
		case newest == nil && e.Result == control.ResultOK && (e.Action == control.ActionDeploy || e.Action == control.ActionRollback):
			newest = &history[i]
			if e.Action == control.ActionRollback && !succeeded[e.Deploy] {
				return e.Version
			}
		}
	}
	return ""
}

// rollback makes the statement; nil where the release's counter is the highest that
// any can have by now.
func (g signer) rollback(target control.Release, newest uint64, expires time.Duration) (*control.Rollback, error) {
	if target.Counter >= newest {
		return nil, nil
	}
	now := time.Now()
	statement := release.RollbackTo(target.Manifest, newest, now, now.Add(expires))
	b, err := statement.Encode()
	if err != nil {
		return nil, err
	}
	return &control.Rollback{Statement: statement, Signatures: g.document(b, "crow rollback "+target.Ref().String())}, nil
}
