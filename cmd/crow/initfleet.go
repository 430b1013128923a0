package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v3"

	"crow/internal/pki"
	"crow/internal/release"
	"crow/internal/transport"
)

const initHelp = `Makes a folder with all that a new fleet needs: its CA, the key of its gossip, a key
that signs releases, certificates for the seeder and for you, and config files. The
signing key gets a passphrase: ` + envSigningPassphrase + `, or asked for.

Without --seeder the seeder is on this machine, to try things out.

crow init fleet --fleet prod --seeder 10.0.0.5
crow init fleet --fleet prod --seeder crow.example.com:7400 --seeder 10.0.0.5`

// initFleet is the command that founds a fleet.
func (a *app) initFleet() *cli.Command {
	return &cli.Command{
		Name:        "init",
		Usage:       "found a fleet: CA, keys, certificates and config files in a new folder",
		ArgsUsage:   "DIR",
		Description: initHelp,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "fleet", Usage: "`NAME` of the fleet, which its certificates carry"},
			&cli.StringSliceFlag{Name: "seeder", Usage: "`ADDR` that the fleet reaches the seeder at: IP or DNS name, with a port or without; repeatable, one an IP"},
			noPassphraseFlag(),
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			f, err := foundingOf(cmd)
			if err != nil {
				return err
			}
			if err := s.clearDrafts(f.dir); err != nil {
				return err
			}
			if _, err := isEmpty(f.dir); err != nil {
				return err
			}
			if f.passphrase, err = s.newPassphrase(ctx, cmd); err != nil {
				return err
			}
			return s.initFleet(ctx, f)
		}),
	}
}

// founding is a new fleet as the command line asks for it.
type founding struct {
	dir        string // absolute path
	fleet      string
	seeder     seederAddress
	passphrase []byte // nil: none
}

func foundingOf(cmd *cli.Command) (f founding, err error) {
	const hint = "crow init DIR --fleet NAME --seeder ADDR"
	if !cmd.Args().Present() {
		return f, &fault{kind: usage, text: "init: which folder? want one that is new or empty", hint: hint}
	}
	if !cmd.IsSet("fleet") {
		return f, &fault{kind: usage, text: "init: --fleet is missing", hint: hint}
	}
	f.fleet = cmd.String("fleet")
	if err := release.ValidateHost(f.fleet); err != nil {
		return f, usagef("--fleet: %v", err)
	}
	if f.seeder, err = seederAddressOf(cmd.StringSlice("seeder")); err != nil {
		return f, err
	}
	f.dir, err = filepath.Abs(cmd.Args().First())
	return f, err
}

// clearDrafts removes what runs that were killed left where this one works: a CA's
// key among it, of a fleet that never was.
func (s *session) clearDrafts(dir string) error {
	for _, folder := range []string{filepath.Dir(dir), dir} {
		removed, err := sweepDead(folder)
		for _, path := range removed {
			s.note("removed %s, which an init that was killed had left", path)
		}
		if err != nil {
			return fmt.Errorf("init %s: clear what another run left: %w", dir, err)
		}
	}
	return nil
}

// isEmpty reports whether there is an empty folder at path; false: nothing is
// there. Anything else is a usage error.
func isEmpty(path string) (bool, error) {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, &fault{kind: usage, text: fmt.Sprintf("init %s: %s", path, reason(err)), cause: err}
	case len(entries) > 0:
		return false, &fault{kind: usage, text: fmt.Sprintf("init %s: it is not empty, and a fleet is founded once", path), hint: "name a folder that is new"}
	}
	return true, nil
}

// initFleet makes the folder, all of it or nothing.
func (s *session) initFleet(ctx context.Context, f founding) error {
	var made founded
	err := makeFolder(f.dir, func(dir string) (err error) {
		if made, err = found(dir, f.fleet, f.passphrase); err == nil {
			err = f.furnish(made)
		}
		return errors.Join(err, ctx.Err()) // a signal came while the passphrase was at work
	})
	if err != nil {
		return fmt.Errorf("init %s: %w", f.dir, err)
	}
	return s.writeFounded(f, made)
}

// furnish adds the first certificates and the config files.
func (f founding) furnish(made founded) error {
	for _, r := range []pki.Request{
		{Role: string(transport.RoleSeeder), Name: seederName, Hosts: f.seeder.hosts},
		{Role: string(transport.RoleOperator), Name: operatorName},
	} {
		if err := made.issue(r); err != nil {
			return err
		}
	}
	words := wordsOf(f.dir, f.fleet, f.seeder, made.key.Public().String())
	var files []outFile
	for _, name := range []string{seederConfig, peerConfig, operatorConfig} {
		text, err := words.render(name)
		if err != nil {
			return err
		}
		files = append(files, outFile{filepath.Join(made.dir, name), text, pki.CertMode})
	}
	return writeFiles(files...)
}
