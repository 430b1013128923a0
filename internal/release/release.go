// Package release holds crow's vocabulary: names, digests, manifests, phases,
// target expressions and units, with the rules that make one of them valid.
//
// It owns types and rules only: it opens no file and no connection, reads no
// clock, and imports nothing but the standard library, so that every other
// package can speak its words.
package release

import (
	"errors"
	"fmt"
	"strings"
)

// Name limits, in bytes. The names become file names on every host and labels
// in metrics, so they are short and plain.
const (
	MaxAppLen     = 64
	MaxVersionLen = 128
	MaxHostLen    = 128
)

// CurrentLink is the name of the link to the live release in an app's folder
// on a host; no version may be called so.
const CurrentLink = "current"

// ErrInvalid marks every error of this package that the user's own words
// caused: a bad name, expression, size or document.
var ErrInvalid = errors.New("invalid")

// Ref names one release: an app and one of its versions.
type Ref struct {
	App     string `json:"app"`
	Version string `json:"version"`
}

// ParseRef reads APP@VERSION and checks both names.
func ParseRef(s string) (Ref, error) {
	app, version, ok := strings.Cut(s, "@")
	if !ok {
		return Ref{}, fmt.Errorf("%w release %q: want APP@VERSION", ErrInvalid, s)
	}
	r := Ref{App: app, Version: version}
	return r, r.Validate()
}

// String is APP@VERSION, the form that ParseRef reads.
func (r Ref) String() string { return r.App + "@" + r.Version }

// Validate checks both names.
func (r Ref) Validate() error {
	if err := ValidateApp(r.App); err != nil {
		return err
	}
	return ValidateVersion(r.Version)
}

// ValidateApp checks an app's name: letters, digits, dot, dash and underscore,
// beginning with a letter or digit, at most MaxAppLen bytes.
func ValidateApp(s string) error { return validateName("app", s, MaxAppLen, "._-") }

// ValidateVersion checks a version: as an app's name, and plus and tilde too,
// at most MaxVersionLen bytes; CurrentLink is reserved.
func ValidateVersion(s string) error {
	if s == CurrentLink {
		return fmt.Errorf("%w version %q: the name is reserved for the link to the live release", ErrInvalid, s)
	}
	return validateName("version", s, MaxVersionLen, "._-+~")
}

// ValidateHost checks a host's name: as an app's name, at most MaxHostLen bytes.
func ValidateHost(s string) error { return validateName("host name", s, MaxHostLen, "._-") }

func validateName(what, s string, limit int, extra string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w %s: it is empty", ErrInvalid, what)
	case len(s) > limit:
		return fmt.Errorf("%w %s %q: %d bytes, at most %d are allowed", ErrInvalid, what, s[:limit]+"...", len(s), limit)
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && (i == 0 || !strings.ContainsRune(extra, rune(c))) {
			return fmt.Errorf("%w %s %q: only letters, digits and %s are allowed, a letter or digit first",
				ErrInvalid, what, s, strings.Join(strings.Split(extra, ""), " "))
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
