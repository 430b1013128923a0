package transport

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"crow/internal/release"
)

// maxFileLen bounds each file, in bytes: a list of 100,000 revoked certificates
// has about half of it.
const maxFileLen = 8 << 20

// stat looks at all files that the config names.
func (t TLS) stat() ([]fs.FileInfo, error) {
	var all []fs.FileInfo
	for _, path := range []string{t.CA, t.Cert, t.Key, t.CRL} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("%w file: %w", release.ErrInvalid, err)
		}
		all = append(all, info)
	}
	return all, nil
}

// unchanged reports whether files are still those that were looked at before.
func unchanged(was, is []fs.FileInfo) bool {
	if len(was) != len(is) {
		return false
	}
	for i := range is {
		if !os.SameFile(was[i], is[i]) || !was[i].ModTime().Equal(is[i].ModTime()) || was[i].Size() != is[i].Size() {
			return false
		}
	}
	return true
}

// readFile reads the file of one key of the config.
func readFile(key, path string) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileLen+1))
	if err == nil && len(b) > maxFileLen {
		err = fmt.Errorf("read %s: it is over %d bytes", path, maxFileLen)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return b, nil
}
