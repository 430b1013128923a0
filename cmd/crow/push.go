package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"
	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/build"
)

// push is the command that creates a release and deploys it.
func (a *app) push() *cli.Command {
	flags := append([]cli.Flag{
		&cli.StringFlag{Name: "app", Usage: "`APP` that the artifact is a build of"},
		&cli.StringFlag{Name: "version", Usage: "`VERSION` of the build"},
		signKeyFlag(),
		&cli.DurationFlag{Name: "expires", Usage: "how long hosts may take the release (default: for ever)", HideDefault: true},
	}, deployFlags()...)
	return &cli.Command{
		Name:        "push",
		Usage:       "create a release of an artifact, deploy it to hosts and wait until it is live",
		ArgsUsage:   "ARTIFACT",
		Description: rolloutHelp,
		Flags:       flags,
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			o, err := pushOf(cmd)
			if err != nil {
				return err
			}
			if o.dryRun {
				return s.push(ctx, cmd.Args().First(), o)
			}
			if o.signer, err = s.signer(ctx, cmd); err != nil {
				return err
			}
			if len(o.signer.keys) == 0 && s.tls.Cert != "" {
				s.note("the release is not signed: hosts that trust keys will refuse it (--sign-key, %s, or sign_keys in the config)", envSigningKey)
			}
			return s.push(ctx, cmd.Args().First(), o)
		}),
	}
}

// pushing is one push as the command line asks for it.
type pushing struct {
	rollout
	expires time.Duration // 0: never
}

// pushOf checks push's arguments and flags.
func pushOf(cmd *cli.Command) (pushing, error) {
	if cmd.Args().Len() != 1 {
		return pushing{}, usagef("push: which artifact? want a file or a directory")
	}
	for _, name := range []string{"app", "version"} {
		if !cmd.IsSet(name) {
			return pushing{}, &fault{
				kind: usage, text: fmt.Sprintf("push: --%s is missing", name),
				hint: "crow push ARTIFACT --app APP --version VERSION --target role=web",
			}
		}
	}
	ref := release.Ref{App: cmd.String("app"), Version: cmd.String("version")}
	if err := ref.Validate(); err != nil {
		return pushing{}, err
	}
	o, err := rolloutOf(cmd, ref)
	p := pushing{rollout: o, expires: cmd.Duration("expires")}
	if err == nil && (p.expires < 0 || p.expires > 0 && p.expires < time.Second) {
		err = usagef("--expires %s: want a second or more, such as 720h", p.expires)
	}
	return p, err
}

// push makes sure that the release exists with the artifact's content, then
// deploys it.
func (s *session) push(ctx context.Context, path string, o pushing) error {
	artifact, err := build.Open(path)
	if err != nil {
		return err
	}
	defer artifact.Close()
	c, err := s.client()
	if err != nil {
		return err
	}
	if !o.dryRun {
		st, known, err := keyed(ctx, c, o.rollout)
		if err != nil {
			return fmt.Errorf("push %s: %w", o.ref, err)
		}
		if known {
			return s.pushedBefore(ctx, c, artifact, st, o)
		}
	}
	if err := s.requireMatch(ctx, c, o.ref.App, o.selector); err != nil {
		return err
	}
	if err := requireEarlier(ctx, c, o.rollout); err != nil {
		return err
	}
	if o.dryRun {
		return s.dryPush(ctx, c, artifact, o)
	}
	p := s.newPrinter()
	if err := s.ensureRelease(ctx, c, p, artifact, o); err != nil {
		p.close()
		return err
	}
	err = s.rollOut(ctx, c, p, o.rollout)
	if e, ok := errors.AsType[*control.Error](err); ok && e.Code == control.CodeDamaged {
		return s.repair(ctx, c, path, o.rollout)
	}
	return err
}

// keyed is the deploy that the idempotency key is of, if the seeder knows one: before a
// byte is moved. A seeder of an earlier crow does not know the question, and answers it
// when the deploy is created.
func keyed(ctx context.Context, c *control.Client, o rollout) (st control.DeployStatus, known bool, err error) {
	if o.key == "" {
		return st, false, nil
	}
	st, err = c.Keyed(ctx, o.request())
	if answer, ok := errors.AsType[*control.Error](err); ok && answer.Code == control.CodeNotFound {
		return st, false, nil
	}
	return st, err == nil, err
}

// pushedBefore follows the deploy that the push's key is of, if it is of the same build.
// That moves no byte, nor does it sign anything.
func (s *session) pushedBefore(ctx context.Context, c *control.Client, artifact *build.Source, st control.DeployStatus, o pushing) error {
	p := s.newPrinter()
	if _, err := compareContent(ctx, p, artifact, o.ref, st.Artifact); err != nil {
		p.close()
		return err
	}
	return s.attend(ctx, c, p, st, o.rollout)
}

// repair sends the build again when the seeder found its own copy damaged, and
// deploys it then. It is the same build: ensureRelease has compared them.
func (s *session) repair(ctx context.Context, c *control.Client, path string, o rollout) error {
	s.note("the seeder's copy of %s is damaged: sending the build again", o.ref)
	artifact, err := build.Open(path)
	if err != nil {
		return err
	}
	defer artifact.Close()
	p := s.newPrinter()
	if _, err := newUploader(c, p).upload(ctx, artifact); err != nil {
		p.close()
		return fmt.Errorf("upload %s: %w", o.ref, err)
	}
	return s.rollOut(ctx, c, p, o)
}

// ensureRelease creates the release, or, where it exists, compares its content
// with the artifact's without moving a byte, and adds the signatures that it
// lacks.
func (s *session) ensureRelease(ctx context.Context, c *control.Client, p printer, artifact *build.Source, o pushing) error {
	ref := o.ref
	existing, err := findRelease(ctx, c, ref)
	if err != nil {
		return err
	}
	if existing != nil {
		if err := compare(ctx, p, artifact, existing.Manifest); err != nil {
			return err
		}
		if err := o.sameExpiry(existing.Manifest); err != nil {
			return err
		}
		return o.signer.endorse(ctx, c, *existing)
	}
	blob, err := newUploader(c, p).upload(ctx, artifact)
	if err != nil {
		return fmt.Errorf("upload %s: %w", ref, err)
	}
	s.log.Debug("uploaded", zap.Stringer("release", ref), zap.Stringer("infohash", blob.InfoHash))
	if err := createRelease(ctx, c, blob, o); err != nil {
		return fmt.Errorf("create release %s: %w", ref, err)
	}
	return nil
}

// sameExpiry refuses to vouch for another expiry than the command line asks for.
func (o pushing) sameExpiry(m release.Manifest) error {
	if o.expires == 0 || m.Expires.Equal(m.Created.Add(o.expires)) {
		return nil
	}
	until := "never expires"
	if !m.Expires.IsZero() {
		until = "expires on " + m.Expires.Local().Format(time.DateTime)
	}
	return &fault{
		kind: refused, hint: "push the build under a new version, or without --expires",
		text: fmt.Sprintf("release %s exists and %s, not %s after it was made", m.Ref(), until, o.expires),
	}
}

// createTries is how often a release is made anew because another one of its app
// was made meanwhile.
const createTries = 5

// createRelease writes the manifest and signs it: the seeder stores what it is
// given, and hosts believe the signatures alone. Where two are made at once, a later
// second is the next one's; whatever the seeder says, no counter is ahead of the time
// and of what counts.
func createRelease(ctx context.Context, c *control.Client, blob control.Blob, o pushing) error {
	for try := 1; ; try++ {
		err := tryCreate(ctx, c, blob, o)
		if e, ok := errors.AsType[*control.Error](err); !ok || e.Code != control.CodeStale || try == createTries {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func tryCreate(ctx context.Context, c *control.Client, blob control.Blob, o pushing) error {
	all, err := c.Releases(ctx, o.ref.App)
	if err != nil {
		return err
	}
	now := time.Now()
	m := blob.Manifest(o.ref, nextCounter(o.signer.known(all), now), now)
	if o.expires > 0 {
		m.Expires = m.Created.Add(o.expires)
	}
	signatures, err := o.signer.manifest(m)
	if err != nil {
		return err
	}
	_, err = c.CreateRelease(ctx, control.CreateRelease{Manifest: m, Signatures: signatures})
	return err
}

// findRelease returns nil if the release does not exist.
func findRelease(ctx context.Context, c *control.Client, ref release.Ref) (*control.Release, error) {
	all, err := c.Releases(ctx, ref.App)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Ref() == ref {
			return &all[i], nil
		}
	}
	return nil, nil
}
