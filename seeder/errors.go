package seeder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

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
	code := control.CodeInternal
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	_, badType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case tooLarge:
		code = control.CodeTooLarge
	case errors.Is(err, release.ErrInvalid), badType:
		code = control.CodeUsage
	case errors.Is(err, store.ErrFull):
		return &control.Error{Code: control.CodeFull, Message: "on the seeder: " + err.Error(), Hint: fullHint}
	case errors.Is(err, store.ErrNotFound):
		code = control.CodeNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, errStopped):
		return &control.Error{Code: control.CodeInternal, Message: "the seeder is stopping"}
	}
	return &control.Error{Code: code, Message: err.Error()}
}
