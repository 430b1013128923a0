package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"math"
	"path/filepath"

	"github.com/urfave/cli/v3"

	"crow/internal/pki"
)

const certRevokeHelp = `Adds certificates to the CA's list of those that no host accepts any more. The list
counts where it has been copied to.

crow cert revoke web-1.crt --ca ca`

func (a *app) certRevoke() *cli.Command {
	return &cli.Command{
		Name:        "revoke",
		Usage:       "put certificates on the list of those that no host accepts any more",
		ArgsUsage:   "FILE...",
		Description: certRevokeHelp,
		Flags:       []cli.Flag{caFlag(), &cli.BoolFlag{Name: "new-list", Usage: "begin a list: the CA has revoked nothing yet"}},
		Action: a.action(math.MaxInt, func(_ context.Context, cmd *cli.Command, s *session) error {
			if !cmd.Args().Present() {
				return usagef("cert revoke: which certificate? want NAME.crt")
			}
			ca, dir, err := openCA(cmd)
			if err != nil {
				return err
			}
			list := filepath.Join(dir, pki.CRLFile)
			if ca.CRL() == nil && !cmd.Bool("new-list") {
				return &fault{
					kind: usage, text: fmt.Sprintf("cert revoke: %s is not there: without it all that was revoked before would hold again", list),
					hint: "put back the newest copy, from the seeder or any host; --new-list if nothing ever was revoked",
				}
			}
			return s.revokeCerts(ca, list, cmd.Args().Slice())
		}),
	}
}

// revokeSchema is the version of revoked.
const revokeSchema = 1

// revoked is crow cert revoke --output json. Fields are only ever added.
type revoked struct {
	Schema  int        `json:"schema"`
	CRL     string     `json:"crl"` // path of the list
	Revoked []certInfo `json:"revoked"`
}

// revokeCerts revokes the certificates of all files, or none.
func (s *session) revokeCerts(ca *pki.CA, crl string, paths []string) error {
	doc := revoked{Schema: revokeSchema, CRL: crl}
	var texts [][]byte
	for _, path := range paths {
		certs, err := readCerts(path)
		if err != nil {
			return err
		}
		for _, c := range certs {
			doc.Revoked = append(doc.Revoked, certInfoOf(path, c))
			texts = append(texts, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: c.Raw}))
		}
	}
	if _, err := ca.Revoke(texts...); err != nil {
		return err
	}
	if s.output != outputText {
		return s.writeJSON(doc)
	}
	for _, c := range doc.Revoked {
		fmt.Fprintf(s.out, "revoked: %s %s of fleet %s, serial %s\n", c.Role, c.Name, c.Fleet, c.Serial)
	}
	s.note("now copy %s to the seeder and to all hosts: they take it up within seconds, by themselves", crl)
	return nil
}
