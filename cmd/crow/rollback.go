package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

const rollbackHelp = `Hosts go back only by a statement that those whom they trust have signed. Where they
want more than one signature, one person makes the statement and others add theirs;
who has the last one deploys:

   crow rollback web --to 1.41.0 --out back.json
   crow rollback --statement back.json --sign-key bob.key --target role=web

With both, the signature is added and nothing is deployed. The file holds no secret.`

// rollback is the command that goes back to an older release: it signs the
// statement without which hosts refuse it, and deploys it.
func (a *app) rollback() *cli.Command {
	flags := append([]cli.Flag{
		&cli.StringFlag{Name: "to", Usage: "`VERSION` to go back to (default: the last that was deployed with success before the newest)"},
		signKeyFlag(),
		&cli.DurationFlag{Name: "expires", Usage: "how long hosts may go back by this statement, at most until there is a newer release", Value: statementLife},
		&cli.StringFlag{Name: "out", Usage: "`FILE` to write the signed statement to, for others to sign; deploys nothing"},
		&cli.StringFlag{Name: "statement", Usage: "`FILE` that another wrote with --out: sign that one"},
	}, deployFlags()...)
	return &cli.Command{
		Name:        "rollback",
		Usage:       "go back to an older release and wait until it is live",
		ArgsUsage:   "APP",
		Description: rollbackHelp,
		Flags:       flags,
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			b, err := goingBackOf(cmd)
			if err != nil {
				return err
			}
			if b.signer, err = s.signer(ctx, cmd); err != nil {
				return err
			}
			if b.out != "" && len(b.signer.keys) == 0 {
				return &fault{kind: usage, text: "rollback --out: no key to sign with", hint: "--sign-key FILE, or " + envSigningKey}
			}
			return s.goBack(ctx, cmd, b)
		}),
	}
}

// statementLife is long enough for hosts that are off over a week, and bounds how
// long a seeder could move hosts back and forth by it.
const statementLife = 8 * 24 * time.Hour

// goingBack is a rollback as the command line asks for it.
type goingBack struct {
	app, version string            // an empty version: the one before
	given        *control.Rollback // that others signed; nil: make one
	expires      time.Duration     // of the one that is made
	from, out    string            // files of statements; empty: none
	signer       signer
}

func goingBackOf(cmd *cli.Command) (b goingBack, err error) {
	b = goingBack{app: cmd.Args().First(), version: cmd.String("to"), expires: cmd.Duration("expires"), from: cmd.String("statement"), out: cmd.String("out")}
	if err := refuseTogether(cmd, "statement", "to", "expires"); err != nil {
		return b, err
	}
	if err := refuseTogether(cmd, "out", outFree()...); err != nil {
		return b, err
	}
	if b.from != "" {
		if err := b.read(); err != nil {
			return b, err
		}
	}
	if err := release.ValidateApp(b.app); err != nil {
		return b, usagef("rollback: which app? %v", err)
	}
	if cmd.IsSet("idempotency-key") && b.version == "" && b.from == "" {
		return b, &fault{kind: usage, text: "rollback --idempotency-key: want --to as well: once hosts have gone back, the release before is another", hint: fmt.Sprintf("crow releases %s", b.app)}
	}
	if b.expires < time.Second {
		return b, usagef("--expires %s: want a second or more, such as 168h", b.expires)
	}
	return b, nil
}

// outFree are the flags of a deploy, which --out makes none of.
func outFree() (names []string) {
	for _, flag := range deployFlags() {
		names = append(names, flag.Names()[0])
	}
	return names
}

// refuseTogether refuses flags that would do nothing beside another one.
func refuseTogether(cmd *cli.Command, flag string, others ...string) error {
	for _, o := range others {
		if cmd.IsSet(flag) && cmd.IsSet(o) {
			return usagef("--%s goes without --%s", flag, o)
		}
	}
	return nil
}

// goBack makes or takes the statement, and deploys by it unless it is for others
// to sign.
func (s *session) goBack(ctx context.Context, cmd *cli.Command, b goingBack) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	target, known, err := rollbackTarget(ctx, c, b)
	if err != nil {
		return err
	}
	s.note("rollback of %s to %s, made on %s, sha256 %s", b.app, target.Version, target.Created.Local().Format(time.DateTime), target.SHA256)
	if b.given != nil {
		s.note("by the statement in %s, which holds %s", b.from, lastingOf(b.given.Statement))
	}
	if b.out != "" {
		statement, err := b.statement(target, known, time.Now())
		if err != nil {
			return err
		}
		return s.handOver(b, statement)
	}
	o, err := rolloutOf(cmd, target.Ref())
	if err != nil {
		return err
	}
	if err := s.requireMatch(ctx, c, b.app, o.selector); err != nil {
		return err
	}
	o.signer = b.signer
	if o.rollback, err = b.statement(target, known, time.Now()); err != nil {
		return err
	}
	return s.rollOut(ctx, c, s.newPrinter(), o)
}

// rollbackTarget finds the release to go back to, and the app's releases that count.
func rollbackTarget(ctx context.Context, c *control.Client, b goingBack) (target control.Release, known []control.Release, err error) {
	all, err := c.Releases(ctx, b.app)
	if err != nil {
		return target, nil, err
	}
	if b.version == "" {
		if b.version, err = previousVersion(ctx, c, b.app); err != nil {
			return target, nil, err
		}
	}
	known = b.signer.known(all)
	for _, r := range known {
		if r.Version == b.version {
			return r, known, nil
		}
	}
	text := fmt.Sprintf("no release %s@%s to go back to", b.app, b.version)
	if len(b.signer.keys) > 0 {
		text += " that is signed by a key of yours or of trust in your config"
	}
	return target, nil, &fault{kind: usage, text: text, hint: "crow releases " + b.app}
}

// previousVersion is what rollback goes back to when nobody says.
func previousVersion(ctx context.Context, c *control.Client, app string) (string, error) {
	history, err := c.History(ctx, app, control.MaxHistory)
	if err != nil {
		return "", err
	}
	version, err := versionBefore(history, func(id string) (bool, error) {
		st, err := c.Status(ctx, id, 0, 0)
		if missing, ok := errors.AsType[*control.Error](err); ok && missing.Code == control.CodeNotFound {
			return false, nil // the archive no longer has it
		}
		return st.Rollout.FetchOnly, err
	})
	if version != "" || err != nil {
		return version, err
	}
	return "", &fault{kind: usage, text: fmt.Sprintf("rollback of %s: no earlier deploy of another version succeeded", app), hint: "crow rollback " + app + " --to VERSION"}
}

// versionBefore finds, in an app's history, newest first, the last version that a
// deploy set live on its hosts before the one that the newest deploy is of. A
// rollback that did not succeed is tried again. Empty is none. fetchedOnly says whether a
// deploy set nothing live: it is asked of those on which it depends.
func versionBefore(history []control.HistoryEntry, fetchedOnly func(deploy string) (bool, error)) (string, error) {
	succeeded := map[string]bool{} // deploys
	var newest *control.HistoryEntry
	for i, e := range history {
		ended := e.Action == control.ActionEnded && e.Result == release.DeploySucceeded.String()
		began := newest == nil && e.Result == control.ResultOK && (e.Action == control.ActionDeploy || e.Action == control.ActionRollback)
		if ended {
			succeeded[e.Deploy] = true
		}
		before := ended && newest != nil && e.Version != newest.Version
		if !began && !before {
			continue
		}
		switch only, err := fetchedOnly(e.Deploy); {
		case err != nil:
			return "", err
		case only:
		case ended, e.Action == control.ActionRollback && !succeeded[e.Deploy]:
			return e.Version, nil
		default:
			newest = &history[i]
		}
	}
	return "", nil
}
