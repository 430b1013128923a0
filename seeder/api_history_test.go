package seeder

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/seeder/audit"
)

// journalAPI is an API of the history alone, and where its log is.
func journalAPI(t *testing.T) (*api, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), auditFile)
	journal := must[*audit.Log](t)(audit.Open(path))
	t.Cleanup(func() { journal.Close() })
	return &api{env: &env{audit: journal, log: zap.NewNop()}}, path
}

func verifyBy(t *testing.T, a *api) control.HistoryCheck {
	t.Helper()
	answer, err := a.history(nil, httptest.NewRequest("GET", control.PathHistory+"?verify=true", nil))
	if err != nil {
		t.Fatal(err)
	}
	return answer.(control.HistoryCheck)
}

// An operator whose calls fail cannot flush the log.
func TestFailedCallsDoNotFillTheHistory(t *testing.T) {
	a, _ := journalAPI(t)
	r := httptest.NewRequest("POST", control.PathDeploys, nil)
	for range 500 {
		a.record(r, control.HistoryEntry{Action: control.ActionDeploy, App: "web"}, errors.New("no"))
	}
	if n := verifyBy(t, a).Entries; n < 1 || n > 50 {
		t.Errorf("500 calls that failed have %d entries", n)
	}
	for range 100 {
		a.record(r, control.HistoryEntry{Action: control.ActionPush, App: "db"}, nil)
		a.env.record(control.HistoryEntry{Who: "seeder", Action: control.ActionEnded, App: "db", Result: "failed"})
	}
	all := must[[]control.HistoryEntry](t)(a.env.audit.Read("", control.MaxHistory))
	did, leftOut := map[string]int{}, 0
	for _, e := range all {
		did[e.Action]++
		leftOut += e.LeftOut
	}
	if did[control.ActionPush] != 100 || did[control.ActionEnded] != 100 || did[control.ActionDeploy]+leftOut != 500 {
		t.Errorf("entries are %v, %d were left out", did, leftOut)
	}
}

// A caller that hangs up before its turn is no seeder that stops.
func TestCallerThatHangsUpIsInTheHistory(t *testing.T) {
	a, _ := journalAPI(t)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	_, err := ask(ctx, &ledger{}, func(*books, time.Time) (bool, error) { return true, nil })
	a.record(httptest.NewRequest("POST", control.PathDeploys, nil), control.HistoryEntry{Action: control.ActionDeploy, App: "web"}, err)
	all := must[[]control.HistoryEntry](t)(a.env.audit.Read("", control.MaxHistory))
	if len(all) != 1 || all[0].Result != string(control.CodeInternal) || !strings.Contains(all[0].Message, "hung up") {
		t.Errorf("the history has %+v", all)
	}
}

func TestHistoryIsVerified(t *testing.T) {
	a, path := journalAPI(t)
	for range 3 {
		a.env.record(control.HistoryEntry{Who: "ann", Action: control.ActionPush})
	}
	if got := verifyBy(t, a); got != (control.HistoryCheck{Entries: 3}) {
		t.Errorf("whole: %+v", got)
	}
	b := must[[]byte](t)(os.ReadFile(path))
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), "ann", "bob", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	got := verifyBy(t, a)
	if got.Entries != 1 || got.Break == nil || got.Break.File != auditFile || got.Break.Line != 2 || got.Break.Why == "" {
		t.Errorf("changed: %+v, %+v", got, got.Break)
	}
}

func TestHistoryRefusesWhatItDoesNotVerify(t *testing.T) {
	a, _ := journalAPI(t)
	for _, query := range []string{"verify=maybe", "verify=true&app=web", "verify=true&limit=5"} {
		_, err := a.history(nil, httptest.NewRequest("GET", control.PathHistory+"?"+query, nil))
		wantCode(t, err, control.CodeUsage)
	}
	if _, err := a.history(nil, httptest.NewRequest("GET", control.PathHistory+"?verify=false", nil)); err != nil {
		t.Error(err)
	}
}

// A command that is none does not come into the history, whatever its length.
func TestUnknownVerb(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	_, err := r.client.Steer(t.Context(), "web", control.Steer{Verb: control.Verb(strings.Repeat("x", 1<<20))})
	if e := wantCode(t, err, control.CodeUsage); len(e.Message) > 200 {
		t.Errorf("the answer has %d bytes", len(e.Message))
	}
	_, err = r.client.Steer(t.Context(), "web", control.Steer{Verb: control.VerbAbort})
	wantCode(t, err, control.CodeNotFound)
}
