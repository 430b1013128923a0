package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ in, line, lines string }{
		{"", "", ""},
		{"plain é ü 日本 👍", "plain é ü 日本 👍", "plain é ü 日本 👍"},
		{"a\nb\tc", "a b c", "a\nb\tc"},
		{"a\r\nb", "a b", "a\nb"},
		{"\x1b[31mred\x1b[0m", "[31mred[0m", "[31mred[0m"},
		{"\x1b]0;title\x07\x00\x7f", "]0;title", "]0;title"},
		{"\u009b31m\u0085", "31m", "31m"},
		{"\xff\x9b2J", "\uFFFD2J", "\uFFFD2J"},
		{"exe.\u202egnp\u202c\u2066x\u2069\u200f\u061c", "exe.gnpx", "exe.gnpx"},
		{"one\u2028two\u2029three", "one two three", "one two three"},
	}
	for _, tt := range tests {
		if got := Printable(tt.in); got != tt.line {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.line)
		}
		if got := Printable(tt.in, '\n', '\t'); got != tt.lines {
			t.Errorf("%q over lines: got %q, want %q", tt.in, got, tt.lines)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("\x1b[2Jé\xff\u0085\u202e\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := Printable(s)
		steers := func(r rune) bool {
			return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, steers) || Printable(got) != got {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func FuzzEscapeJSON(f *testing.F) {
	f.Add("\x1b[2Jé\xff\u0085\u009b31m\u202e\u2028\n\x7f")
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "\t")
		if err := e.Encode(map[string]string{s: s}); err != nil {
			t.Fatal(err)
		}
		got := EscapeJSON(b.Bytes())
		for _, r := range string(got) {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)) {
				t.Errorf("%q has %U", got, r)
			}
		}
		var before, after map[string]string
		if err := errors.Join(json.Unmarshal(b.Bytes(), &before), json.Unmarshal(got, &after)); err != nil || !maps.Equal(before, after) {
			t.Errorf("%q became %q, %v", before, after, err)
		}
	})
}
