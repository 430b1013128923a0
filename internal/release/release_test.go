package release

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 129)
	tests := []struct {
		name               string
		app, version, host bool
	}{
		{"web", true, true, true},
		{"Web-2_b.c", true, true, true},
		{"7", true, true, true},
		{"1.42.0", true, true, true},
		{"a..b", true, true, true},
		{"1.0+build~2", false, true, false},
		{"current", true, false, true},
		{"Current", true, true, true},
		{long[:64], true, true, true},
		{long[:65], false, true, true},
		{long[:128], false, true, true},
		{long, false, false, false},
		{"", false, false, false},
		{".", false, false, false},
		{"..", false, false, false},
		{".hidden", false, false, false},
		{"-rf", false, false, false},
		{"_x", false, false, false},
		{"+1", false, false, false},
		{"../x", false, false, false},
		{"a/b", false, false, false},
		{`a\b`, false, false, false},
		{"a b", false, false, false},
		{"a@b", false, false, false},
		{"a:b", false, false, false},
		{"a\n", false, false, false},
		{"a\x00", false, false, false},
		{"zürich", false, false, false},
		{"a\xff", false, false, false},
		{"*", false, false, false},
	}
	for _, tt := range tests {
		for what, check := range map[string]struct {
			validate func(string) error
			ok       bool
		}{"app": {ValidateApp, tt.app}, "version": {ValidateVersion, tt.version}, "host": {ValidateHost, tt.host}} {
			err := check.validate(tt.name)
			if (err == nil) != check.ok || err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s %q: error %v, want valid: %t", what, tt.name, err, check.ok)
			}
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"web", "1.0+b~1", "../x", "current", "", "a b", "\xff"} {
		f.Add(s)
	}
	app := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z`)
	host := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\z`)
	version := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if ok := ValidateApp(s) == nil; ok != app.MatchString(s) {
			t.Errorf("app %q: valid: %t", s, ok)
		}
		if ok := ValidateHost(s) == nil; ok != host.MatchString(s) {
			t.Errorf("host %q: valid: %t", s, ok)
		}
		ok := ValidateVersion(s) == nil
		if ok != (version.MatchString(s) && s != CurrentLink) {
			t.Errorf("version %q: valid: %t", s, ok)
		}
		if ok && (!filepath.IsLocal(s) || filepath.Base(s) != s) {
			t.Errorf("version %q is no plain file name", s)
		}
	})
}

func TestParseRef(t *testing.T) {
	tests := []struct {
		in   string
		want Ref
		ok   bool
	}{
		{"web@1.42.0", Ref{"web", "1.42.0"}, true},
		{"web@1.0+b~1", Ref{"web", "1.0+b~1"}, true},
		{"web", Ref{}, false},
		{"", Ref{}, false},
		{"@", Ref{}, false},
		{"web@", Ref{}, false},
		{"@1", Ref{}, false},
		{"web@1@2", Ref{}, false},
		{"web@current", Ref{}, false},
		{"web@../x", Ref{}, false},
	}
	for _, tt := range tests {
		got, err := ParseRef(tt.in)
		if (err == nil) != tt.ok || err == nil && got != tt.want || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, error %v", tt.in, got, err)
		}
	}
}

// someName draws valid names of apps, which are valid for all else as well.
func someName() *rapid.Generator[string] {
	return rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`).Filter(func(s string) bool { return s != CurrentLink })
}

func TestRefRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Ref{App: someName().Draw(t, "app"), Version: someName().Draw(t, "version") + "+~1"}
		if got, err := ParseRef(want.String()); err != nil || got != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	})
}
