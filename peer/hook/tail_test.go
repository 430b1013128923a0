package hook

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"crow/internal/control"
)

func TestTail(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain\ttext\n", "plain\ttext\n"},
		{"\x1b[1;31mred\x1b[0m", "red"},
		{"\x1b]0;title\x07after", "after"},
		{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
		{"\x1bPdevice\x1b\\after\x1b_app\x1b\\!", "after!"},
		{"\x1b(Bcharset\x1b=keypad\x1bM", "charsetkeypad"},
		{"\x1b]never ended\nnext line", "never ended\nnext line"}, // a broken one hides nothing
		{"\x1b\x1b[1mx", "x"},
		{"bell\a back\b\b\b nul\x00 del\x7f", "bell back nul del"},
		{"10%\r20%\r\ndone\r\n", "10%\n20%\ndone\n"},
		{"c1 \u009b31m \u0085", "c1 31m "},
		{"raw c1 \x9b31m", "raw c1 \ufffd31m"},
		{"broken \xff\xfe utf-8 \xc3", "broken \ufffd utf-8 \ufffd"},
		{"turned \u202egpj.exe", "turned gpj.exe"},
		{"größe 日本語 👩‍🚀", "größe 日本語 👩‍🚀"},
		{strings.Repeat("a", 100_000) + "end", strings.Repeat("a", control.MaxTailLen-3) + "end"},
		{strings.Repeat("日", 10_000), strings.Repeat("日", control.MaxTailLen/3)},
		{strings.Repeat("\x01", 100_000) + "end", "end"},
		{"lost" + strings.Repeat("\x1b[0m", 100_000) + "last", "last"},
	} {
		var whole, bytewise tail
		whole.write([]byte(c.in))
		for i := range len(c.in) {
			bytewise.write([]byte{c.in[i]})
		}
		if got := whole.String(); got != c.want {
			t.Errorf("tail of %.60q is %.60q, want %.60q", c.in, got, c.want)
		}
		if whole.String() != bytewise.String() {
			t.Errorf("tail of %.60q differs when written byte by byte", c.in)
		}
	}
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("\x1b[31mred\x1b[0m\n"), 3)
	f.Add(bytes.Repeat([]byte("日\x1b]x\a\xff"), 5000), 7)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var tl tail
		cut = max(0, min(cut, len(in)))
		tl.write(in[:cut])
		tl.write(in[cut:])
		got := tl.String()
		if len(got) > control.MaxTailLen || !utf8.ValidString(got) {
			t.Fatalf("tail of %d bytes, valid: %v", len(got), utf8.ValidString(got))
		}
		for _, r := range got {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				t.Fatalf("tail has %U", r)
			}
		}
	})
}

func BenchmarkTail(b *testing.B) {
	var tl tail
	in := bytes.Repeat([]byte("a line of a deploy hook's output, of usual length\n"), 1000)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		tl.write(in)
	}
}
