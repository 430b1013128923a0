package release

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns s without what could steer the terminal that it is shown
// on, or show its words in another order than they have: control characters,
// ESC among them, and bidirectional controls are dropped, and what is not UTF-8
// becomes U+FFFD. What ends a line, and a tab, becomes a space, unless keep names
// it: only what is shown over several lines should.
func Printable(s string, keep ...rune) string {
	return strings.Map(func(r rune) rune {
		switch {
		case slices.Contains(keep, r):
			return r
		case r == '\n' || r == '\t' || isSeparator(r):
			return ' '
		case steers(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// EscapeJSON writes, in a JSON document, what Printable would drop as \u escapes:
// all is kept, and nothing steers the terminal that the document is shown on.
// Encoders escape no more than what JSON demands.
func EscapeJSON(document []byte) []byte {
	if !bytes.ContainsFunc(document, escaped) {
		return document
	}
	var b []byte
	for _, r := range string(document) {
		if escaped(r) {
			b = fmt.Appendf(b, `\u%04x`, r)
			continue
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

// escaped leaves out the characters that stand between a document's values. In
// strings encoders escape them.
func escaped(r rune) bool {
	return r != '\n' && r != '\t' && r != '\r' && (steers(r) || isSeparator(r))
}

func steers(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// isSeparator finds the characters that Unicode has for ends of lines and
// paragraphs. Those of ASCII are control characters.
func isSeparator(r rune) bool { return unicode.In(r, unicode.Zl, unicode.Zp) }
