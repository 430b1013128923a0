package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/transport"
)

// maxCertLen bounds a file of certificates, in bytes: one has about 1 KiB, and a
// file may have a CA's chain.
const maxCertLen = 1 << 20

// certBlock is the type of a certificate's PEM block.
const certBlock = "CERTIFICATE"

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

// readCerts reads the certificates of a PEM file.
func readCerts(path string) (all []*x509.Certificate, err error) {
	text, err := readBounded(path, maxCertLen)
	if err == nil {
		all, err = parseCerts(text)
	}
	if err != nil {
		return nil, &fault{kind: usage, text: fmt.Sprintf("certificate %s: %s", path, reason(err)), cause: err}
	}
	return all, nil
}

// parseCerts reads PEM; blocks of other types, such as keys, are passed over.
func parseCerts(text []byte) (all []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certBlock {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("it has no certificate in PEM")
	}
	return all, nil
}

func (a *app) certShow() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show whose certificates these are, and until when",
		ArgsUsage: "FILE...",
		Action: a.action(math.MaxInt, func(_ context.Context, cmd *cli.Command, s *session) error {
			if !cmd.Args().Present() {
				return usagef("cert show: which file?")
			}
			var infos []certInfo
			for _, path := range cmd.Args().Slice() {
				certs, err := readCerts(path)
				if err != nil {
					return err
				}
				for _, c := range certs {
					infos = append(infos, certInfoOf(path, c))
				}
			}
			now := time.Now()
			return writeList(s, infos, func(all []certInfo) [][]string { return certRows(all, now) })
		}),
	}
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
