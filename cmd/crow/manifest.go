package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v3"

	"crow/internal/pki"
	"crow/internal/release"
)

const manifestHelp = `Without --out it prints the manifest, the very bytes that signatures are over. With it,
it writes APP@VERSION.json, and each signature beside it in minisign's form:

   crow manifest web@1.42.0 --out .
   minisign -V -p signing.pub -m web@1.42.0.json -x web@1.42.0.json.1.minisig`

// manifest is the command that hands out what was signed, for other programs to
// verify.
func (a *app) manifest() *cli.Command {
	return &cli.Command{
		Name:        "manifest",
		Usage:       "show a release's manifest, or write it and its signatures to files",
		ArgsUsage:   "APP@VERSION",
		Description: manifestHelp,
		Flags:       []cli.Flag{&cli.StringFlag{Name: "out", Usage: "`DIR` to write to"}},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			if cmd.Args().Len() != 1 {
				return usagef("manifest: which release? want APP@VERSION")
			}
			ref, err := release.ParseRef(cmd.Args().First())
			if err != nil {
				return err
			}
			return s.manifest(ctx, ref, cmd.String("out"))
		}),
	}
}

func (s *session) manifest(ctx context.Context, ref release.Ref, dir string) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	r, err := findRelease(ctx, c, ref)
	if err != nil {
		return err
	}
	if r == nil {
		return &fault{kind: usage, text: fmt.Sprintf("no release %s", ref), hint: "crow releases " + ref.App}
	}
	b, err := r.Manifest.Encode()
	if err != nil {
		return err
	}
	if dir == "" {
		_, err = s.out.Write(append(b, '\n'))
		return err
	}
	path := filepath.Join(dir, ref.String()+".json")
	files := []outFile{{path, b, pki.CertMode}}
	for i, signature := range r.Signatures {
		files = append(files, outFile{fmt.Sprintf("%s.%d.minisig", path, i+1), []byte(signature), pki.CertMode})
	}
	if err := refuseExisting("name another folder with --out", files...); err != nil {
		return err
	}
	if err := writeFiles(files...); err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintln(s.out, f.path)
	}
	return nil
}
