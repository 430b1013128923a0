package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v3"

	"crow/internal/pki"
	"crow/internal/signing"
)

// key is the command for keys that sign releases.
func (a *app) key() *cli.Command {
	return a.group("key", "make and show keys that sign releases, and change the key of gossip", a.keyGenerate(), a.keyShow(), a.keyRotate())
}

const keyGenerateHelp = `Writes a secret key to FILE, and the public key beside it, as FILE.pub or with .pub
in the place of .key. Both are in minisign's form. The secret key gets a passphrase:
` + envSigningPassphrase + `, or asked for. It belongs to a person or a pipeline, and on
no server; hosts get the public key, in their config's trust.`

func (a *app) keyGenerate() *cli.Command {
	return &cli.Command{
		Name:        "generate",
		Usage:       "make a key that signs releases",
		ArgsUsage:   "FILE",
		Description: keyGenerateHelp,
		Flags:       []cli.Flag{noPassphraseFlag()},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			path := cmd.Args().First()
			if path == "" {
				return usagef("key generate: which file? want one that is not there yet")
			}
			return s.generateKey(ctx, cmd, path)
		}),
	}
}

func (s *session) generateKey(ctx context.Context, cmd *cli.Command, path string) error {
	files := []outFile{{path, nil, pki.KeyMode}, {publicPath(path), nil, pki.CertMode}}
	if err := refuseExisting("a key that is lost signs nothing any more: crow never writes over one", files...); err != nil {
		return err
	}
	pass, err := s.newPassphrase(ctx, cmd)
	if err != nil {
		return err
	}
	key, secret, err := newSigningKey(pass)
	if err != nil {
		return err
	}
	files[0].content, files[1].content = secret, key.Public().File()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := writeFiles(files...); err != nil {
		return err
	}
	info := keyInfo{path, keySecret, key.Public().ID(), key.Public().String()}
	if s.output != outputText {
		return s.writeJSON(info)
	}
	fmt.Fprintf(s.out, "%s and %s: key %s\n", path, files[1].path, info.ID)
	fmt.Fprintf(s.out, "what it signs runs on hosts whose config has\n  trust: {keys: [%q], threshold: 1}\n", info.Public)
	return nil
}

// publicPath is where the public key of a secret key's file belongs.
func publicPath(secret string) string {
	if base, ok := strings.CutSuffix(secret, ".key"); ok && filepath.Base(secret) != ".key" {
		return base + ".pub"
	}
	return secret + ".pub"
}

// newSigningKey makes a key and the text of its file; without a passphrase
// anyone can use that.
func newSigningKey(passphrase []byte) (key signing.PrivateKey, file []byte, err error) {
	if key, err = signing.GenerateKey(); err != nil {
		return key, nil, err
	}
	if passphrase == nil {
		return key, key.File(), nil
	}
	file, err = key.Encrypt(passphrase)
	return key, file, err
}

// Kinds of key files.
const (
	keyPublic = "public"
	keySecret = "secret"
)

// keyInfo is what crow key tells of a key file. Fields are only ever added.
type keyInfo struct {
	File   string `json:"file"`
	Kind   string `json:"kind"`
	ID     string `json:"id"`         // as minisign prints it
	Public string `json:"public_key"` // the line that a config's trust has
}

func (a *app) keyShow() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show the ID and the public key of key files",
		ArgsUsage: "FILE...",
		Action: a.action(math.MaxInt, func(ctx context.Context, cmd *cli.Command, s *session) error {
			if !cmd.Args().Present() {
				return usagef("key show: which file?")
			}
			var all []keyInfo
			for _, path := range cmd.Args().Slice() {
				info, err := s.keyIn(ctx, path)
				if err != nil {
					return err
				}
				all = append(all, info)
			}
			return writeList(s, all, keyRows)
		}),
	}
}

// keyIn reads a key file of either kind; a secret key may need its passphrase.
func (s *session) keyIn(ctx context.Context, path string) (keyInfo, error) {
	b, err := readBounded(path, maxKeyLen)
	if err != nil {
		return keyInfo{}, &fault{kind: usage, text: fmt.Sprintf("key %s: %s", path, reason(err)), cause: err}
	}
	public, err := signing.ParsePublicKey(string(b))
	kind := keyPublic
	if err != nil { // which must not be shown: it quotes what may be a secret key
		var own signer
		if err := own.add(ctx, path, b, s); err != nil {
			return keyInfo{}, err
		}
		kind, public = keySecret, own.keys[0].Public()
	}
	return keyInfo{path, kind, public.ID(), public.String()}, nil
}

func keyRows(all []keyInfo) [][]string {
	rows := [][]string{{"FILE", "KIND", "ID", "PUBLIC KEY"}}
	for _, k := range all {
		rows = append(rows, []string{k.File, k.Kind, k.ID, k.Public})
	}
	return rows
}
