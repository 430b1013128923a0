package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v3"

	"crow/internal/pki"
	"crow/internal/release"
)

// cert is the command for the fleet's certificates.
func (a *app) cert() *cli.Command {
	return a.group("cert", "make, revoke and show certificates of hosts and operators", a.certIssue(), a.certRevoke(), a.certShow())
}

func caFlag() cli.Flag {
	return &cli.StringFlag{Name: "ca", Usage: "`DIR` of the CA, or the one that crow init made", Value: caFolder}
}

// openCA loads the CA that --ca names.
func openCA(cmd *cli.Command) (ca *pki.CA, dir string, err error) {
	dir = cmd.String("ca")
	inner := filepath.Join(dir, caFolder)
	if _, err := os.Stat(filepath.Join(dir, pki.CertFile)); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(inner, pki.CertFile)); err == nil {
			dir = inner
		}
	}
	ca, err = pki.LoadCA(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, dir, &fault{
			kind: usage, text: fmt.Sprintf("--ca %s: no CA is there: %s", dir, missing(err)), cause: err,
			hint: hintOfCA(cmd.IsSet("ca"), dir),
		}
	case errors.Is(err, release.ErrInvalid):
		return nil, dir, &fault{
			kind: usage, text: fmt.Sprintf("--ca %s: %v", dir, err), cause: err,
			hint: "put back " + pki.CertFile + " and " + pki.KeyFile + " of one CA, from their backup, and the newest " + pki.CRLFile,
		}
	}
	return ca, dir, err
}

// hintOfCA is where to look for a CA of which not all is at dir. On a host there is
// the certificate alone, and that is how it should be.
func hintOfCA(named bool, dir string) string {
	if _, err := os.Stat(filepath.Join(dir, pki.CertFile)); err == nil {
		return fmt.Sprintf("only who founded the fleet has %s: run this there, or put the file back from its backup", pki.KeyFile)
	}
	if named {
		return "--ca DIR names the folder that crow init made"
	}
	return "run this in the folder that crow init made, or name that: --ca DIR"
}

// missing is the file that an error is about.
func missing(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return filepath.Base(p.Path) + " is missing"
	}
	return err.Error()
}
