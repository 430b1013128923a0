package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/transport"
)

// roleCA is what crow cert show says of a CA's own certificate.
const roleCA = "ca"

// certInfo is what a certificate says. Fields are only ever added.
type certInfo struct {
	File   string    `json:"file"`
	Fleet  string    `json:"fleet"`
	Role   string    `json:"role"` // or roleCA
	Name   string    `json:"name"`
	Hosts  []string  `json:"hosts"`     // IPs and DNS names
	Until  time.Time `json:"not_after"` // UTC
	Serial string    `json:"serial"`    // hex
}

func certInfoOf(file string, c *x509.Certificate) certInfo {
	i := certInfo{
		File: file, Fleet: strings.Join(c.Subject.Organization, " "), Role: strings.Join(c.Subject.OrganizationalUnit, " "),
		Name: strings.Join(transport.CommonNames(c.Subject), " "), Hosts: append([]string{}, c.DNSNames...), Until: c.NotAfter.UTC(), Serial: fmt.Sprintf("%X", c.SerialNumber),
	}
	for _, ip := range c.IPAddresses {
		i.Hosts = append(i.Hosts, ip.String())
	}
	slices.Sort(i.Hosts)
	if c.IsCA {
		i.Role = roleCA
	}
	return i
}

const certShowHelp = `A FILE may hold several certificates, as a bundle of CAs does; of a folder, its files
that are called *.crt or *.pem are shown. What cannot be read is told of, after what can be.`

func (a *app) certShow() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show whose certificates these are, and until when",
		ArgsUsage:   "FILE|DIR...",
		Description: certShowHelp,
		Action: a.action(math.MaxInt, func(_ context.Context, cmd *cli.Command, s *session) error {
			if !cmd.Args().Present() {
				return usagef("cert show: which file?")
			}
			return s.showCerts(cmd.Args().Slice())
		}),
	}
}

// showCerts shows what can be read, and ends with an error about what cannot.
func (s *session) showCerts(paths []string) error {
	var infos []certInfo
	var errs []error
	for _, path := range paths {
		files, err := certFiles(path)
		if err != nil {
			errs = append(errs, err)
		}
		for _, f := range files {
			certs, err := readCerts(f.path)
			if errors.Is(err, errNoCert) && f.found {
				continue // a list of revoked certificates, or a key
			}
			if err != nil {
				errs = append(errs, err)
			}
			for _, c := range certs {
				infos = append(infos, certInfoOf(f.path, c))
			}
		}
	}
	if len(infos) == 0 && len(errs) > 0 {
		return errs[0]
	}
	now := time.Now()
	if err := writeList(s, infos, func(all []certInfo) [][]string { return certRows(all, now) }); err != nil || len(errs) == 0 {
		return err
	}
	return &fault{kind: unexpected, text: "cert show: not all could be read: " + errors.Join(errs...).Error(), cause: errors.Join(errs...)}
}

func certRows(all []certInfo, now time.Time) [][]string {
	rows := [][]string{{"FILE", "NAME", "ROLE", "FLEET", "ADDRESSES", "UNTIL", "SERIAL"}}
	for _, i := range all {
		until := i.Until.Local().Format(time.DateTime)
		if now.After(i.Until) {
			until += " (expired)"
		}
		rows = append(rows, []string{
			i.File, orDash(oneLine(i.Name)), orDash(oneLine(i.Role)), orDash(oneLine(i.Fleet)),
			orDash(oneLine(strings.Join(i.Hosts, " "))), until, i.Serial,
		})
	}
	return rows
}
