package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// keepLogs saves a failed run's logs and configs where the user wants them.
func (b *bench) keepLogs(s stage, o outcome) error {
	if b.logs == "" {
		return nil
	}
	to := filepath.Join(b.logs, fmt.Sprintf("%d-hosts-%s-run-%d", s.Hosts, slug(o.System), o.Run))
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, pattern := range []string{"*.log", "*.yaml"} {
		paths, err := filepath.Glob(s.path(pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := copyFile(filepath.Join(to, filepath.Base(path)), path, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyFile(to, from string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// slug is a system's name as part of a file name.
func slug(name string) string {
	return strings.ReplaceAll(name, " ", "")
}
