package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/signing"
)

// What CI gives a job instead of files.
const (
	envSigningKey        = "CROW_SIGNING_KEY"        // the text of a key file, or the path of one
	envSigningPassphrase = "CROW_SIGNING_PASSPHRASE" //nolint:gosec // the variable's name
)

// maxKeyLen bounds a key file, in bytes.
const maxKeyLen = 16 << 10

func signKeyFlag() cli.Flag {
	return &cli.StringSliceFlag{
		Name:  "sign-key",
		Usage: "secret key `FILE` (minisign's form) to sign with; repeatable (default: " + envSigningKey + ", then sign_keys of the config)",
	}
}

// sign is the command that adds a signature to a release, where hosts want more
// than one person's.
func (a *app) sign() *cli.Command {
	return &cli.Command{
		Name:      "sign",
		Usage:     "add a signature to a release",
		ArgsUsage: "APP@VERSION",
		Flags: []cli.Flag{
			signKeyFlag(),
			&cli.StringFlag{Name: "sha256", Usage: "`DIGEST` of the artifact that you vouch for, from your own build"},
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			if cmd.Args().Len() != 1 {
				return usagef("sign: which release? want APP@VERSION")
			}
			ref, err := release.ParseRef(cmd.Args().First())
			if err != nil {
				return err
			}
			digest, err := release.ParseDigest(cmd.String("sha256"))
			if err != nil {
				return &fault{
					kind: usage, text: "sign: --sha256 is missing or no digest: say what you vouch for",
					hint: "sha256sum ARTIFACT, or push the same artifact yourself: it signs what exists",
				}
			}
			return s.sign(ctx, cmd, ref, digest)
		}),
	}
}

func (s *session) sign(ctx context.Context, cmd *cli.Command, ref release.Ref, digest release.Digest) error {
	signer, err := s.signer(ctx, cmd)
	if err != nil {
		return err
	}
	if len(signer.keys) == 0 {
		return &fault{kind: usage, text: "sign: no key", hint: "--sign-key FILE, or " + envSigningKey}
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	r, err := findRelease(ctx, c, ref)
	switch {
	case err != nil:
		return err
	case r == nil:
		return &fault{kind: usage, text: fmt.Sprintf("no release %s", ref), hint: "crow releases " + ref.App}
	case r.SHA256 != digest:
		return &fault{kind: refused, text: fmt.Sprintf("release %s has sha256 %s, not %s: not signed", ref, r.SHA256, digest)}
	}
	if err := signer.endorse(ctx, c, *r); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s is signed by %s\n", ref, signer)
	return nil
}

// signer signs with one key or more, or, where a fleet runs without trusted keys,
// with none.
type signer struct {
	keys    []signing.PrivateKey
	trusted []signing.PublicKey // of others, whose releases count too
}

// String lists the keys' IDs.
func (g signer) String() string {
	var ids []string
	for _, k := range g.keys {
		ids = append(ids, k.Public().ID())
	}
	return strings.Join(ids, ", ")
}

// signer reads the keys that the command line names, else the environment, else
// the config file.
func (s *session) signer(ctx context.Context, cmd *cli.Command) (signer, error) {
	g := signer{trusted: s.trust.Keys}
	files := cmd.StringSlice("sign-key")
	if text := os.Getenv(envSigningKey); len(files) == 0 && text != "" {
		if _, err := os.Stat(text); err != nil {
			return g, g.add(ctx, envSigningKey, []byte(text), s)
		}
		files = []string{text}
	}
	if len(files) == 0 {
		files = s.signKeys
	}
	for _, file := range files {
		b, err := readBounded(file, maxKeyLen)
		if err != nil {
			return g, &fault{kind: usage, text: fmt.Sprintf("signing key %s: %s", file, reason(err)), cause: err}
		}
		if err := g.add(ctx, file, b, s); err != nil {
			return g, err
		}
	}
	return g, nil
}

func (g *signer) add(ctx context.Context, from string, text []byte, s *session) error {
	key, err := signing.ParsePrivateKey(text, func() ([]byte, error) { return s.passphrase(ctx, from) })
	if err != nil {
		return &fault{kind: usage, text: fmt.Sprintf("signing key %s: %v", from, err), cause: err}
	}
	g.keys = append(g.keys, key)
	return nil
}

// passphrase asks the environment, then whoever sits at the terminal.
func (s *session) passphrase(ctx context.Context, key string) ([]byte, error) {
	if p := os.Getenv(envSigningPassphrase); p != "" {
		return []byte(p), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, fmt.Errorf("it has a passphrase: set %s", envSigningPassphrase)
	}
	return s.ask(ctx, "passphrase of "+key+": ")
}

// manifest signs a release's manifest with all keys.
func (g signer) manifest(m release.Manifest) ([]string, error) {
	b, err := m.Encode()
	if err != nil {
		return nil, err
	}
	return g.document(b, "crow manifest "+m.Ref().String()), nil
}

func (g signer) document(b []byte, comment string) (signatures []string) {
	for _, k := range g.keys {
		signatures = append(signatures, signing.Sign(k, b, comment))
	}
	return signatures
}

// endorse adds to a release the signatures of those keys that have not signed it.
func (g signer) endorse(ctx context.Context, c *control.Client, r control.Release) error {
	if len(g.keys) == 0 {
		return nil
	}
	if err := plausible(r, time.Now()); err != nil {
		return err
	}
	b, err := r.Manifest.Encode()
	if err != nil {
		return err
	}
	missing := g.lacking(b, r.Signatures)
	if len(missing.keys) == 0 {
		return nil
	}
	signatures := missing.document(b, "crow manifest "+r.Ref().String())
	if _, err := c.AddSignatures(ctx, r.Ref(), signatures); err != nil {
		return fmt.Errorf("sign %s: %w", r.Ref(), err)
	}
	return nil
}

// lacking are the keys that have not signed the document.
func (g signer) lacking(document []byte, signatures []string) (lacking signer) {
	for _, k := range g.keys {
		alone := signing.Trust{Keys: []signing.PublicKey{k.Public()}, Threshold: 1}
		if alone.Verify(document, signatures) != nil {
			lacking.keys = append(lacking.keys, k)
		}
	}
	return lacking
}
