package seeder

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"crow/internal/control"
	"crow/internal/release"
)

// TestNoisyReportIsCut holds that a host which says too much is still heard.
func TestNoisyReportIsCut(t *testing.T) {
	j := control.JobReport{
		App: "web", Version: "1", Phase: release.Failed,
		Reason: "hook\n\x1b[31mexited " + strings.Repeat("é", control.MaxReasonLen),
		Hook:   &control.HookResult{Tail: strings.Repeat("ü", control.MaxTailLen) + "\x1b]0;title\x07the\tend\u202e\n\xff"},
	}
	if err := validateJob(&j); err != nil {
		t.Fatal(err)
	}
	if len(j.Reason) > control.MaxReasonLen || !strings.HasPrefix(j.Reason, "hook [31mexited é") || !utf8.ValidString(j.Reason) {
		t.Errorf("reason of %d bytes: %.40q", len(j.Reason), j.Reason)
	}
	if tail := j.Hook.Tail; len(tail) > control.MaxTailLen || !strings.HasSuffix(tail, "üü]0;titlethe\tend\n\uFFFD") || !utf8.ValidString(tail) {
		t.Errorf("tail of %d bytes: %q", len(tail), tail[len(tail)-40:])
	}
}

func FuzzClean(f *testing.F) {
	f.Add("plain", 3)
	f.Add("\x1b[2Jé\xff\u0085", 4)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(0, most%100)
		for _, got := range []string{cut(release.Printable(s), most), tail(release.Printable(s), most)} {
			if len(got) > most || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\x07\x1b\x7f\u009b") {
				t.Errorf("%q became %q", s, got)
			}
		}
	})
}

// TestReportOfAFullHost has a host report all that it may of all apps that it
// may have, and one job more.
func TestReportOfAFullHost(t *testing.T) {
	r := control.Report{Host: "a", Jobs: slices.Repeat([]control.JobReport{{App: "web", Version: "1"}}, 3*control.MaxApps)}
	if err := validateReport(&r); err != nil {
		t.Error(err)
	}
	r.Jobs = append(r.Jobs, r.Jobs[0])
	if err := validateReport(&r); err == nil {
		t.Error("a report with too many jobs is taken")
	}
}
