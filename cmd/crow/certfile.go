package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// maxCertLen bounds a file of certificates, in bytes: one has about 1 KiB, and a
// file may have a CA's chain.
const maxCertLen = 1 << 20

// certBlock is the type of a certificate's PEM block.
const certBlock = "CERTIFICATE"

// errNoCert says that a file is of something else.
var errNoCert = errors.New("it has no certificate in PEM")

// certFile is a file to look for certificates in.
type certFile struct {
	path  string
	found bool // in a folder; nobody said that there is a certificate in it
}

// certFiles is path itself or, of a folder, the files in it that may have
// certificates by their names.
func certFiles(path string) ([]certFile, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []certFile{{path, false}}, nil // who reads it says what is wrong
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, certFault(path, err)
	}
	var all []certFile
	for _, e := range entries {
		if !e.IsDir() && slices.Contains([]string{certSuffix, ".pem"}, filepath.Ext(e.Name())) {
			all = append(all, certFile{filepath.Join(path, e.Name()), true})
		}
	}
	if len(all) == 0 {
		return nil, certFault(path, errors.New("it is a folder without *.crt and *.pem"))
	}
	return all, nil
}

func certFault(path string, err error) error {
	return &fault{kind: usage, text: fmt.Sprintf("certificate %s: %s", path, reason(err)), cause: err}
}

// readCerts reads the certificates of a PEM file. With an error come those that
// can be read.
func readCerts(path string) (all []*x509.Certificate, err error) {
	text, err := readBounded(path, maxCertLen)
	if err == nil {
		all, err = parseCerts(text)
	}
	if err != nil {
		return all, certFault(path, err)
	}
	return all, nil
}

// parseCerts reads PEM; blocks of other types, such as keys, are passed over. With
// an error come those that can be read.
func parseCerts(text []byte) (all []*x509.Certificate, err error) {
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != certBlock {
			continue
		}
		blocks++
		c, parseErr := x509.ParseCertificate(block.Bytes)
		if parseErr != nil {
			err = errors.Join(err, fmt.Errorf("block %d: %w", blocks, parseErr))
			continue
		}
		all = append(all, c)
	}
	// The decoder passes over blocks that it cannot read.
	begun := bytes.Count(text, []byte("-----BEGIN "+certBlock+"-----"))
	switch {
	case begun > blocks:
		err = errors.Join(err, fmt.Errorf("%d of %d blocks are damaged", begun-blocks, begun))
	case begun == 0:
		err = errNoCert
	}
	return all, err
}
