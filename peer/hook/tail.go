package hook

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"crow/internal/control"
)

// keepLen is how much text is kept while a hook runs, in bytes. It is twice
// what is reported, since characters that terminals obey are only found and
// left out at the end.
const keepLen = 2 * control.MaxTailLen

// tail keeps the end of a hook's output, as text that is safe to show on a
// terminal. The zero tail is ready to use.
type tail struct {
	state escape
	ring  [keepLen]byte
	next  int  // where the next byte goes
	full  bool // the ring has gone round
	last  byte // newest byte of input, for \r\n
}

// write takes more output. Escape sequences may span calls.
func (t *tail) write(b []byte) {
	for _, c := range b {
		if t.state = t.state.next(c); t.state == text {
			t.put(c)
		}
		t.last = c
	}
}

// put keeps one byte of text. Progress bars that return to the line's beginning
// become lines of their own.
func (t *tail) put(c byte) {
	switch {
	case c == '\n' && t.last == '\r':
		return
	case c == '\r':
		c = '\n'
	case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
		return
	}
	t.ring[t.next] = c
	if t.next++; t.next == len(t.ring) {
		t.next, t.full = 0, true
	}
}

// String is the last control.MaxTailLen bytes, valid UTF-8 without control
// characters other than tab and newline.
func (t *tail) String() string {
	b := string(t.ring[:t.next])
	if t.full {
		b = string(t.ring[t.next:]) + b
		b = trimBroken(b)
	}
	b = strings.Map(printable, strings.ToValidUTF8(b, string(utf8.RuneError)))
	if len(b) > control.MaxTailLen {
		b = trimBroken(b[len(b)-control.MaxTailLen:])
	}
	return b
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

// printable drops C1 control characters, which some terminals obey as they do
// escape sequences, and those that turn the direction of writing and so can
// make a line look like another.
func printable(r rune) rune {
	if r == '\n' || r == '\t' {
		return r
	}
	if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
		return -1
	}
	return r
}

// escape is where in an escape sequence (ECMA-48) the output stands.
type escape uint8

const (
	text     escape = iota // outside of any
	begun                  // ESC was read
	single                 // ESC and intermediate bytes; one more byte ends it
	control8               // CSI: parameters until a final byte
	str                    // OSC, DCS, PM, APC, SOS: until BEL or ST
	strBegun               // ESC within a string; a backslash makes it ST
	over                   // the byte just read was the last of a sequence
)

const (
	bel = 0x07
	can = 0x18 // aborts a sequence, as SUB does
	sub = 0x1a
	esc = 0x1b
)

// next is the state after one more byte. A newline ends every sequence, which
// it does not on terminals: a broken one must not hide the lines after it.
func (e escape) next(c byte) escape {
	switch {
	case c == '\n':
		return text
	case c == can || c == sub:
		return over
	case c == esc && e == str:
		return strBegun
	case c == esc:
		return begun
	}
	switch e {
	case begun, strBegun:
		return afterEscape(c)
	case single:
		if c >= ' ' && c < '0' {
			return single
		}
		return over
	case control8:
		if c >= '@' && c <= '~' {
			return over
		}
		return control8
	case str:
		if c == bel {
			return over
		}
		return str
	}
	return text
}

func afterEscape(c byte) escape {
	switch {
	case c == '[':
		return control8
	case strings.IndexByte("]P^_X", c) >= 0:
		return str
	case c >= ' ' && c < '0':
		return single
	}
	return over
}
