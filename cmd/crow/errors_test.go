package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
	"crow/seeder/build"
)

func TestDiagnose(t *testing.T) {
	answer := func(c control.Code) error {
		return fmt.Errorf("deploy web@1: %w", &control.Error{Code: c, Message: "what was wrong", Hint: "what to do"})
	}
	cases := []struct {
		err        error
		code       int
		text, hint string
	}{
		{errors.New("boom"), exitUnexpected, "boom", ""},
		{usagef("no %s", "such"), exitUsage, "no such", ""},
		{fmt.Errorf("push: %w", &fault{kind: refused, text: "other bytes", hint: "again"}), exitRefused, "push: other bytes", "again"},
		{answer(control.CodeUsage), exitUsage, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeNotFound), exitUsage, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeNoHost), exitNoHost, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeRefused), exitRefused, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeEnded), exitUsage, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeTooLarge), exitUsage, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeDamaged), exitRefused, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeFull), exitUnexpected, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeInternal), exitUnexpected, "deploy web@1: what was wrong", "what to do"},
		{fmt.Errorf("%w: %w", control.ErrUnreachable, context.Canceled), exitInterrupted, "interrupted", ""},
		{fmt.Errorf("%w: read answer: %w", control.ErrUnreachable, release.ErrInvalid), exitUnreachable, "seeder unreachable: read answer: invalid", rules[3].hint},
		{fmt.Errorf("%w: %w", control.ErrUnreachable, transport.ErrUntrustedPeer), exitRefused, "seeder unreachable: other end is not trusted", rules[1].hint},
		{answer(control.CodeForbidden), exitRefused, "deploy web@1: what was wrong", "what to do"},
		{answer(control.CodeStale), exitRefused, "deploy web@1: what was wrong", "what to do"},
		{fmt.Errorf("%w x: it is empty", build.ErrUnusable), exitUsage, "unusable artifact x: it is empty", ""},
		{fmt.Errorf("%w app", release.ErrInvalid), exitUsage, "invalid app", ""},
		{fmt.Errorf("seeder: %w 0.0.0.0", transport.ErrInsecure), exitUsage, "seeder: tls is off on a network address 0.0.0.0", ""},
		{fmt.Errorf("%w x: %w", build.ErrUnusable, fs.ErrNotExist), exitUsage, "unusable artifact x: file does not exist", ""},
		{configFault("crow.yaml", fs.ErrPermission, ""), exitUsage, "config crow.yaml: permission denied", ""},
		{fmt.Errorf("demo: the hook left no mark: %w", fs.ErrNotExist), exitUnexpected, "demo: the hook left no mark: file does not exist", ""},
		{fmt.Errorf("seeder: store: %w", fs.ErrPermission), exitUnexpected, "seeder: store: permission denied", ""},
		{fmt.Errorf("seeder: listen: %w", syscall.EADDRINUSE), exitUnexpected, "seeder: listen: address already in use", rules[7].hint},
	}
	for _, c := range cases {
		if got := diagnose(c.err); got != (diagnosis{c.text, c.hint, c.code}) {
			t.Errorf("%v: got %+v, want %+v", c.err, got, diagnosis{c.text, c.hint, c.code})
		}
	}
}

// TestUnreachable asks addresses where no seeder answers, each in its own way.
func TestUnreachable(t *testing.T) {
	refusing, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	cases := []struct{ name, addr, want string }{
		{"nobody listens", refusing, "seeder http://" + refusing + " is unreachable: connection refused"},
		{"hangs up", hangsUp(t), " is unreachable: "},
		{"something else", other.Listener.Addr().String(), "404 Not Found, not as a seeder does"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := transport.Security{}.HTTPClient()
			defer h.CloseIdleConnections()
			client, err := control.NewClient("http://"+c.addr, h)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Hosts(t.Context(), nil)
			if d := diagnose(err); d.code != exitUnreachable || !bytes.Contains([]byte(d.text), []byte(c.want)) {
				t.Errorf("got %+v, want %q", d, c.want)
			}
		})
	}
}

// hangsUp listens until the test ends, and closes each connection without an answer.
func hangsUp(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "two\nlines\n": "two; lines", "a\tb\r\n": "a b", "\x1b[31mred\x07": "[31mred", "": "",
		"exe.\u202egnp": "exe.gnp", "\xff": "\ufffd",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestErrorLineIsBounded(t *testing.T) {
	var b bytes.Buffer
	diagnosis{strings.Repeat("x", 8<<10), "", 1}.print(streams{err: &b})
	if want := "crow: " + strings.Repeat("x", maxErrorLine-1) + "…\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{"": "", "abc": "abc", "abcd": "abcd", "abcde": "abc…", "äöüßé": "äöü…", "äöüß": "äöüß"} {
		if got := clip(in, 4); got != want {
			t.Errorf("clip(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPrintDiagnosis(t *testing.T) {
	cases := []struct {
		color bool
		want  string
	}{
		{false, "crow: it broke\nhint: mend it\n"},
		{true, "\x1b[31mcrow:\x1b[0m it broke\n\x1b[1mhint:\x1b[0m mend it\n"},
	}
	for _, c := range cases {
		var b bytes.Buffer
		diagnosis{"it broke", "mend it", 1}.print(streams{err: &b, color: c.color})
		if b.String() != c.want {
			t.Errorf("got %q, want %q", b.String(), c.want)
		}
	}
}
