package main

import (
	"strings"
	"testing"

	"crow/internal/control"
)

// What a seeder says is shown as one line of harmless text.
func TestHistoryRowsSteerNoTerminal(t *testing.T) {
	const evil = "a\x1b[2J\nb\u202e"
	rows := historyRows([]control.HistoryEntry{{
		Who: evil, Action: evil, App: evil, Version: evil, Deploy: evil, Result: evil, Message: evil,
	}})
	for _, cell := range rows[1] {
		if strings.ContainsAny(cell, "\x1b\n\u202e") {
			t.Errorf("a cell is %q", cell)
		}
	}
}

func TestHistoryTellsWhatWasLeftOut(t *testing.T) {
	for _, c := range []struct {
		entry control.HistoryEntry
		want  string
	}{
		{control.HistoryEntry{Result: "refused", Message: "no"}, "no"},
		{control.HistoryEntry{Result: "refused", Message: "no", LeftOut: 120}, "no (and 120 more like it)"},
		{control.HistoryEntry{Result: "ok", LeftOut: 120}, "(after 120 more calls that failed)"},
		{control.HistoryEntry{Result: "refused", Message: strings.Repeat("x", 100), LeftOut: 1}, strings.Repeat("x", 79) + "… (and 1 more like it)"},
	} {
		if got := noteOfEntry(c.entry); got != c.want {
			t.Errorf("%+v: %q, want %q", c.entry, got, c.want)
		}
	}
}

func TestBrokenHistoryIsRefused(t *testing.T) {
	if err := brokenHistory(control.HistoryCheck{Entries: 3}); err != nil {
		t.Errorf("whole: %v", err)
	}
	err := brokenHistory(control.HistoryCheck{Entries: 3, Break: &control.HistoryBreak{File: "audit.jsonl.1", Line: 4, Why: "changed"}})
	if d := diagnose(err); d.code != exitRefused || d.text != "history: audit.jsonl.1 line 4: changed; whole entries before it: 3" || d.hint == "" {
		t.Errorf("broken: %+v", d)
	}
}
