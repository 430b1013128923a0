package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
	"crow/seeder/build"
)

// Exit codes are a contract with scripts: only ever add.
const (
	exitOK          = 0
	exitUnexpected  = 1
	exitUsage       = 2   // the command line or a config file is wrong
	exitFailed      = 3   // the deploy ended with failures
	exitTimeout     = 4   // waiting ended, the deploy goes on
	exitEnded       = 5   // aborted or superseded
	exitNoHost      = 6   // the target matches no host
	exitRefused     = 7   // signature, digest or version conflict, or the certificate's role
	exitUnreachable = 8   // no seeder answers
	exitChanges     = 9   // a dry run with --detailed-exitcode: something would change
	exitInterrupted = 130 // by a signal
)

// kind says how an error of the commands' own ends crow.
type kind int

const (
	unexpected   kind = exitUnexpected
	usage        kind = exitUsage
	deployFailed kind = exitFailed
	timedOut     kind = exitTimeout
	deployEnded  kind = exitEnded
	noHost       kind = exitNoHost
	refused      kind = exitRefused
	unreachable  kind = exitUnreachable
	changes      kind = exitChanges
	interrupted  kind = exitInterrupted
)

// fault is an error that a command words itself.
type fault struct {
	kind  kind
	text  string // empty: only the exit code tells
	hint  string // the next command; may be empty
	cause error  // may be nil
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.cause }

func usagef(format string, args ...any) error {
	return &fault{kind: usage, text: fmt.Sprintf(format, args...)}
}

// asUsage makes err the command line's fault, unless it has a kind already.
func asUsage(err error) error {
	if _, ok := errors.AsType[*fault](err); ok {
		return err
	}
	text := err.Error()
	if words, ok := badVariable(text); ok {
		text = words
	}
	return &fault{kind: usage, text: text, hint: "crow --help", cause: err}
}

// diagnosis is what the user is told of an error.
type diagnosis struct {
	text, hint string
	code       int
}

func (d diagnosis) print(std streams) {
	if d.text == "" {
		return
	}
	fmt.Fprintln(std.err, std.paint(red, "crow:"), clip(oneLine(d.text), maxErrorLine))
	if d.hint != "" {
		fmt.Fprintln(std.err, std.paint(bold, "hint:"), oneLine(d.hint))
	}
}

// codeOf maps what a seeder answers.
var codeOf = map[control.Code]int{
	control.CodeUsage: exitUsage, control.CodeNotFound: exitUsage, control.CodeTooLarge: exitUsage, control.CodeEnded: exitUsage,
	control.CodeNoHost: exitNoHost, control.CodeRefused: exitRefused, control.CodeForbidden: exitRefused, control.CodeStale: exitRefused,
	control.CodeDamaged: exitRefused, // its digest is not that of the release
}

// rules map all other errors, first match first: a call that a signal or a bad
// answer broke carries several of these.
var rules = []struct {
	is   error
	code int
	hint string
}{
	{context.Canceled, exitInterrupted, ""},
	{transport.ErrUntrustedPeer, exitRefused, "look at both certificates: crow cert show FILE"},
	{transport.ErrRefused, exitRefused, "the seeder does not take this certificate: crow cert show FILE, and the seeder's log"},
	{control.ErrUnreachable, exitUnreachable, "is it running? name another with --seeder URL or CROW_SEEDER"},
	{build.ErrUnusable, exitUsage, ""},
	{release.ErrInvalid, exitUsage, ""},
	{transport.ErrInsecure, exitUsage, ""},
	{syscall.EADDRINUSE, exitUnexpected, "another program listens there: stop it, or change the address in the config"},
	{syscall.EADDRNOTAVAIL, exitUsage, "this machine has no such address: change it in the config"},
}

// diagnose is the one map from an error to message, hint and exit code.
func diagnose(err error) diagnosis {
	if own, ok := errors.AsType[*fault](err); ok {
		return diagnosis{err.Error(), own.hint, int(own.kind)}
	}
	if answer, ok := errors.AsType[*control.Error](err); ok {
		return diagnosis{err.Error(), answer.Hint, cmp.Or(codeOf[answer.Code], exitUnexpected)}
	}
	for _, r := range rules {
		if errors.Is(err, r.is) {
			return diagnosis{textOf(err), r.hint, r.code}
		}
	}
	return diagnosis{err.Error(), "", exitUnexpected}
}

// textOf words the errors that libraries word for programmers.
func textOf(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if call, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Sprintf("seeder %s is unreachable: %s", baseOf(call.URL), causeOf(call))
	}
	return err.Error()
}

func baseOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return u.Scheme + "://" + u.Host
}

// causeOf is the innermost cause of a failed call, such as connection refused.
func causeOf(call *url.Error) string {
	switch {
	case errors.Is(call, transport.ErrUntrustedPeer), errors.Is(call, transport.ErrRefused):
		return call.Err.Error()
	case errors.Is(call, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(call, io.EOF), errors.Is(call, io.ErrUnexpectedEOF):
		return "the connection broke"
	}
	if system, ok := errors.AsType[*os.SyscallError](call); ok {
		return system.Err.Error()
	}
	if op, ok := errors.AsType[*net.OpError](call); ok {
		return op.Err.Error()
	}
	return call.Err.Error()
}

// oneLine joins lines and drops what could steer a terminal: part of the text
// may come from the network.
func oneLine(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(release.Printable(lines[i]))
	}
	return strings.Join(lines, "; ")
}
