package audit

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crow/internal/control"
)

func failed(who string, n int) control.HistoryEntry {
	return control.HistoryEntry{Who: who, Role: "operator", App: "web", Version: fmt.Sprint(n), Action: "deploy", Result: "refused", Message: "no"}
}

func failOften(t *testing.T, l *Log, who string, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		if err := l.AppendFailed(failed(who, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// newest tells version, result and what was left out before them of the newest
// entries.
func newest(t *testing.T, l *Log, most int) string {
	t.Helper()
	entries, err := l.Read("", most)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%s %s %s +%d", e.Who, e.Version, e.Result, e.LeftOut))
	}
	return strings.Join(all, ", ")
}

func TestFailedCallsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"))
		failOften(t, l, "ann", 1, 1000)
		if got := newest(t, l, 1); got != "ann 20 refused +0" {
			t.Errorf("at once: %s", got)
		}
		failOften(t, l, "bob", 1, 1)
		if got := newest(t, l, 1); got != "bob 1 refused +0" {
			t.Errorf("another caller: %s", got)
		}
		time.Sleep(failedEvery)
		failOften(t, l, "ann", 1001, 1002)
		if got := newest(t, l, 2); got != "ann 1001 refused +980, bob 1 refused +0" {
			t.Errorf("later: %s", got)
		}
		for i := range 50 {
			e := failed("ann", i)
			e.Result = control.ResultOK
			if err := l.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		if got := newest(t, l, 50); strings.Count(got, "ok +0") != 49 || !strings.HasSuffix(got, "ann 0 ok +1") {
			t.Errorf("what succeeded: %s", got)
		}
		if n, err := l.Verify(); n != 72 || err != nil {
			t.Errorf("%d are whole, %v", n, err)
		}
	})
}

// A caller that never comes again leaves its count to others, readers among them.
func TestWhatWasLeftOutIsSettled(t *testing.T) {
	for name, next := range map[string]func(*testing.T, *Log) *Log{
		"another's": func(t *testing.T, l *Log) *Log {
			time.Sleep(failedEvery)
			failOften(t, l, "bob", 1, 1)
			return l
		},
		"a read": func(_ *testing.T, l *Log) *Log {
			time.Sleep(failedEvery)
			return l
		},
		"the end": func(t *testing.T, l *Log) *Log {
			l.Close()
			return open(t, l.path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"))
				failOften(t, l, "ann", 1, 30)
				l = next(t, l)
				if got := newest(t, l, 2); !strings.Contains(got, "ann 30 refused +9") {
					t.Errorf("newest are %s", got)
				}
			})
		})
	}
}

func TestCallersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"))
		for i := range 10 * maxCallers {
			failOften(t, l, fmt.Sprint("10.0.0.", i), 1, 1)
		}
		if len(l.callers) != maxCallers+1 {
			t.Errorf("%d callers are kept", len(l.callers))
		}
		entries, err := l.Read("", 10_000)
		if err != nil || len(entries) != maxCallers+failedBurst {
			t.Errorf("%d entries, %v", len(entries), err)
		}
		time.Sleep(failedEvery * (failedBurst + 1))
		if got := newest(t, l, 1); got != fmt.Sprintf("10.0.0.%d 1 refused +%d", 10*maxCallers-1, 9*maxCallers-failedBurst-1) {
			t.Errorf("of the others: %s", got)
		}
		time.Sleep(failedEvery)
		if newest(t, l, 1); len(l.callers) != 0 {
			t.Errorf("%d callers are kept of a quiet fleet", len(l.callers))
		}
	})
}
