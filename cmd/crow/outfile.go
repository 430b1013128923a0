package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"crow/internal/pki"
)

// folderMode is that of folders with secrets in them.
const folderMode fs.FileMode = 0o700

// outFile is a file that a command makes for people to keep or to copy to hosts.
type outFile struct {
	path    string
	content []byte
	mode    fs.FileMode // pki.KeyMode or pki.CertMode
}

// refuseExisting is a usage error if one of the files is there already.
func refuseExisting(hint string, files ...outFile) error {
	for _, f := range files {
		_, err := os.Lstat(f.path)
		switch {
		case err == nil:
			return &fault{kind: usage, text: fmt.Sprintf("%s is there already", f.path), hint: hint}
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("write %s: %s", f.path, reason(err))
		}
	}
	return nil
}

// writeFiles writes files in order, in the place of what is there: each is seen
// whole or not at all.
func writeFiles(files ...outFile) error {
	for _, f := range files {
		if err := pki.Write(f.path, f.content, f.mode); err != nil {
			return fmt.Errorf("write %s: %s", f.path, reason(err))
		}
	}
	return nil
}
