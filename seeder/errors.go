package seeder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

func usage(hint, format string, args ...any) *control.Error {
	return &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf(format, args...), Hint: hint}
}

func notFound(format string, args ...any) *control.Error {
	return &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf(format, args...)}
}

func ended(format string, args ...any) *control.Error {
	return &control.Error{Code: control.CodeEnded, Message: fmt.Sprintf(format, args...)}
}

func refused(message, hint string) *control.Error {
	return &control.Error{Code: control.CodeRefused, Message: message, Hint: hint}
}

// fullHint is what there is to do about a full store.
const fullHint = "give the seeder's disk more space, or move its store to a larger one (store in its config): " +
	"crow releases prune --keep N makes room"

// errorOf gives any error its place in the control API.
func errorOf(err error) *control.Error {
	if e, ok := errors.AsType[*control.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*keyError](err); ok {
		return e.answer()
	}
	code := control.CodeInternal
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	_, badType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case tooLarge:
		code = control.CodeTooLarge
	case errors.Is(err, release.ErrInvalid), badType:
		code = control.CodeUsage
	case errors.Is(err, store.ErrFull):
		return &control.Error{Code: control.CodeFull, Message: "on the seeder: " + pathless(err), Hint: fullHint}
	case errors.Is(err, store.ErrNotFound):
		code = control.CodeNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, errStopped):
		return &control.Error{Code: control.CodeInternal, Message: "the seeder is stopping"}
	}
	return &control.Error{Code: code, Message: pathless(err)}
}

// pathless is an error's text without the paths of this machine, which are the log's
// alone: whoever may call is told what is wrong, and not where things lie.
func pathless(err error) string {
	text := err.Error()
	for _, cause := range causes(err) {
		switch e := cause.(type) { //nolint:errorlint // each error of the tree is looked at by itself
		case *fs.PathError:
			text = strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
		case *os.LinkError:
			text = strings.ReplaceAll(text, e.Error(), e.Op+": "+e.Err.Error())
		}
	}
	return text
}

// causes are an error and all that it wraps.
func causes(err error) []error {
	all := []error{err}
	switch e := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			all = append(all, causes(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, causes(inner)...)
		}
	}
	return all
}
