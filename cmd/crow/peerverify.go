package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"crow/internal/release"
	"crow/peer"
	"crow/peer/admin"
)

const peerVerifyHelp = `Hashes every artifact that this host has, and compares every staged release with its artifact.
A damaged artifact is fetched again from the neighbours and the seeder, a damaged release is
staged again; a live one only with --mend-live, which puts another folder in its place: what
a hook or a server has written there goes, and what runs goes on with the old files until it
is restarted. Exit code 0: all is well, or mended; 1: something stays damaged.`

// verified is the result of crow peer verify.
type verified struct {
	Schema int                 `json:"schema"`
	Count  map[admin.State]int `json:"count"`
	Things []admin.Checked     `json:"things"`
}

// peerVerify is the command that looks for damage on a host's disk.
func (a *app) peerVerify() *cli.Command {
	return &cli.Command{
		Name:        "verify",
		Usage:       "look for damage in what this host has, and mend it",
		UsageText:   "crow peer verify --config FILE [APP] [--mend-live]",
		Description: peerVerifyHelp,
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "mend-live", Usage: "stage live releases again, too, if they are damaged"}},
		Action: a.onHost(1, func(ctx context.Context, cmd *cli.Command, s *session, config peer.Config) error {
			app := cmd.Args().First()
			if app != "" {
				if err := release.ValidateApp(app); err != nil {
					return err
				}
			}
			out, err := s.verify(ctx, config, app, cmd.Bool("mend-live"))
			if err != nil {
				return err
			}
			return s.writeVerified(out)
		}),
	}
}

// verify has the agent verify, and notes each thing as it is done.
func (s *session) verify(ctx context.Context, config peer.Config, app string, mendLive bool) (verified, error) {
	out := verified{Schema: admin.Schema, Count: map[admin.State]int{}, Things: []admin.Checked{}}
	err := peer.Verify(ctx, config, app, mendLive, func(c admin.Checked) {
		out.Count[c.State]++
		out.Things = append(out.Things, c)
		if s.progress != progressNone {
			s.note("%d/%d %s %s: %s", c.Done, c.Of, c.Kind, shortName(c), c.State)
		}
	})
	switch {
	case errors.Is(err, admin.ErrNoAgent):
		return out, &fault{
			kind: unexpected, text: "verify: " + err.Error(), cause: err,
			hint: "start it: it knows what should be there, and fetches what is damaged",
		}
	case ctx.Err() != nil:
		return out, ctx.Err()
	case err != nil:
		return out, fmt.Errorf("verify: %w", err)
	}
	return out, nil
}

// writeVerified prints the result. What stays damaged is an error.
func (s *session) writeVerified(out verified) error {
	switch s.output {
	case outputText:
		writeDamage(s, out)
	case outputJSON:
		if err := s.writeJSON(out); err != nil {
			return err
		}
	default:
		for _, c := range out.Things {
			if err := s.writeJSON(c); err != nil {
				return err
			}
		}
	}
	if n := out.Count[admin.Damaged]; n > 0 {
		return &fault{kind: unexpected, text: fmt.Sprintf("verify: %s damaged and not mended", things(n))}
	}
	return nil
}

func writeDamage(s *session, out verified) {
	for _, c := range out.Things {
		if c.State != admin.OK {
			fmt.Fprintf(s.out, "%s %s is %s: %s\n", c.Kind, shortName(c), c.State, release.Printable(c.Detail))
		}
	}
	n := out.Count
	fmt.Fprintf(s.out, "%s verified: %d ok, %d mended, %d damaged, %d unknown\n",
		things(len(out.Things)), n[admin.OK], n[admin.Mended], n[admin.Damaged], n[admin.Unknown])
}

// shortName has of a digest what is enough to tell it from others.
func shortName(c admin.Checked) string {
	const digits = 12
	if c.Kind == admin.Artifact && len(c.Name) > digits {
		return c.Name[:digits]
	}
	return release.Printable(c.Name)
}
