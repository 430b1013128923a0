package release

import (
	"slices"
	"strings"
	"unicode"
)

// Printable returns s without what could steer the terminal that it is shown
// on, or show its words in another order than they have: control characters,
// ESC among them, and bidirectional controls are dropped, and what is not UTF-8
// becomes U+FFFD. A newline or a tab becomes a space, unless keep names it: only
// what is shown over several lines should.
func Printable(s string, keep ...rune) string {
	return strings.Map(func(r rune) rune {
		switch {
		case slices.Contains(keep, r):
			return r
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
