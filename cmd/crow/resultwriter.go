package main

import (
	"errors"
	"io"
)

// resultWriter remembers that a result could not be written: text is printed
// in many places, and none of them has to look.
type resultWriter struct {
	w   io.Writer
	err error // the first
}

// Write implements io.Writer.
func (r *resultWriter) Write(b []byte) (int, error) {
	n, err := r.w.Write(b)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// lost reports whether a lost result is what a command that ended with err
// failed of. What a command words itself, such as a failed deploy, goes before.
func (r *resultWriter) lost(err error) bool {
	if _, own := errors.AsType[*fault](err); own || r.err == nil {
		return false
	}
	return err == nil || errors.Is(err, r.err)
}
