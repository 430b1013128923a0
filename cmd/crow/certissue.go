package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/pki"
	"crow/internal/transport"
)

const certIssueHelp = `Writes NAME.crt and NAME.key. The addresses are those that the holder is reached at:
a seeder and a tracker need them, and a host may announce no others.

crow cert issue --role peer --name web-1 --host 10.0.0.21
crow cert issue --role operator --name alice --days 90`

// day is that of --days.
const day = 24 * time.Hour

// maxDays bounds --days; no certificate outlives its CA anyway.
const maxDays = 36500

func (a *app) certIssue() *cli.Command {
	return &cli.Command{
		Name:        "issue",
		Usage:       "make a certificate and its key",
		ArgsUsage:   " ",
		Description: certIssueHelp,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "role", Usage: "what the holder is: `ROLE` " + orList(pki.Roles)},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the host, as in its config, or of the operator"},
			&cli.StringSliceFlag{Name: "host", Usage: "`ADDR` that the holder is reached at: IP or DNS name; repeatable"},
			caFlag(),
			&cli.StringFlag{Name: "out", Usage: "`DIR` to write to", Value: "."},
			&cli.IntFlag{Name: "days", Usage: "how many days the certificate holds", Value: int(pki.DefaultLifetime / day)},
			&cli.BoolFlag{Name: "force", Usage: "write over files that are there: to renew a certificate"},
		},
		Action: a.action(0, func(_ context.Context, cmd *cli.Command, s *session) error {
			r, err := certRequestOf(cmd)
			if err != nil {
				return err
			}
			ca, dir, err := openCA(cmd)
			if err != nil {
				return err
			}
			return s.issueCert(ca, dir, r, cmd.String("out"), cmd.Bool("force"))
		}),
	}
}

func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func certRequestOf(cmd *cli.Command) (r pki.Request, err error) {
	for _, name := range []string{"role", "name"} {
		if cmd.String(name) == "" {
			return r, &fault{kind: usage, text: fmt.Sprintf("cert issue: --%s is missing", name), hint: "crow cert issue --role peer --name web-1 --host 10.0.0.21"}
		}
	}
	days := cmd.Int("days")
	if days < 1 || days > maxDays {
		return r, usagef("--days %d: want 1 to %d", days, maxDays)
	}
	r = pki.Request{Role: cmd.String("role"), Name: cmd.String("name"), Hosts: cmd.StringSlice("host"), Lifetime: time.Duration(days) * day}
	if err := r.Validate(); err != nil {
		f := &fault{kind: usage, text: fmt.Sprintf("cert issue: %v", err), cause: err}
		if len(r.Hosts) == 0 {
			f.hint = "--host ADDR"
		}
		return r, f
	}
	return r, nil
}

// issued is crow cert issue --output json. Fields are only ever added.
type issued struct {
	certInfo
	Key string `json:"key"` // path
}

func (s *session) issueCert(ca *pki.CA, caDir string, r pki.Request, out string, force bool) error {
	cert, key, err := ca.Issue(r)
	if err != nil {
		return err
	}
	files := pairFiles(out, r.Name, cert, key)
	if !force {
		if err := refuseExisting("--force writes over it; the old certificate stays good until it expires or is revoked", files...); err != nil {
			return err
		}
	}
	if err := writeFiles(files...); err != nil {
		return err
	}
	certs, err := parseCerts(cert)
	if err != nil {
		return err
	}
	doc := issued{certInfoOf(files[1].path, certs[0]), files[0].path}
	s.noteIssued(r, caDir)
	if s.output != outputText {
		return s.writeJSON(doc)
	}
	fmt.Fprintf(s.out, "%s and %s: %s %s of fleet %s, %suntil %s\n", doc.File, doc.Key, doc.Role, doc.Name, doc.Fleet, at(doc.Hosts), doc.Until.Local().Format(time.DateOnly))
	return nil
}

func at(hosts []string) string {
	if len(hosts) == 0 {
		return ""
	}
	return "at " + strings.Join(hosts, " ") + ", "
}

// noteIssued tells what the files are for, and what will be missed.
func (s *session) noteIssued(r pki.Request, caDir string) {
	role := transport.Role(r.Role)
	if role == transport.RolePeer && len(r.Hosts) == 0 {
		s.note("without --host, %s may announce only the address that it calls from", r.Name)
	}
	if role != transport.RoleOperator {
		s.note("copy both, with %s and %s, to where the tls key of %s's config names them", filepath.Join(caDir, pki.CertFile), filepath.Join(caDir, pki.CRLFile), r.Name)
	}
}
