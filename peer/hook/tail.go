package hook

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"crow/internal/control"
	"crow/internal/release"
)

// keepLen is how much output is kept while a hook runs, in bytes. It is twice
// what is reported, since what terminals obey is only left out at the end.
const keepLen = 2 * control.MaxTailLen

// sequences are the escape sequences (ECMA-48) that programs color and decorate
// their output with. What is not whole stays, harmless without its ESC.
var sequences = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|[]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|[ -/]*[0-~])`)

// lineEnds make progress bars, which return to the line's beginning, lines of
// their own.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// tail keeps the end of a hook's output. The zero tail is ready to use.
type tail struct {
	kept []byte
	cut  bool // there was more before kept
}

// write takes more output.
func (t *tail) write(b []byte) {
	if over := len(t.kept) + len(b) - keepLen; over > 0 {
		t.kept, t.cut = slices.Delete(t.kept, 0, min(over, len(t.kept))), true
	}
	t.kept = append(t.kept, b[max(0, len(b)-keepLen):]...)
}

// String is the last control.MaxTailLen bytes, as text that is safe to show on
// a terminal: see release.Printable.
func (t *tail) String() string {
	s := string(t.kept)
	if t.cut {
		s = trimBroken(s)
	}
	s = release.Printable(lineEnds.Replace(sequences.ReplaceAllString(s, "")), '\n', '\t')
	if len(s) > control.MaxTailLen {
		s = trimBroken(s[len(s)-control.MaxTailLen:])
	}
	return s
}

// trimBroken removes the rest of a character that was cut at the front.
func trimBroken(s string) string {
	for i := range min(len(s), utf8.UTFMax) {
		if utf8.RuneStart(s[i]) {
			return s[i:]
		}
	}
	return s
}
