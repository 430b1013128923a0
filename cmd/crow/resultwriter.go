package main

import (
	"errors"
	"io"

	"crow/internal/release"
)

// resultWriter remembers that a result could not be written: text is printed
// in many places, and none of them has to look. It is also where nothing gets by
// that could steer a terminal, whatever a seeder says its names are: such
// characters are written as escapes, which JSON has the same.
type resultWriter struct {
	w   io.Writer
	err error // the first
}

// Write implements io.Writer.
func (r *resultWriter) Write(b []byte) (int, error) {
	_, err := r.w.Write(release.EscapeJSON(b))
	if r.err == nil {
		r.err = err
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// lost reports whether a lost result is what a command that ended with err
// failed of. What a command words itself, such as a failed deploy, goes before.
func (r *resultWriter) lost(err error) bool {
	if own, ok := errors.AsType[*fault](err); ok && own.text != "" || r.err == nil {
		return false
	}
	return err == nil || err.Error() == "" || errors.Is(err, r.err)
}
