package seeder

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func TestSignaturesStayWithTheRelease(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.make("web", "1.0")
	ref := release.Ref{App: "web", Version: "1.0"}
	for _, s := range [][]string{{"a"}, {"a", "b"}, {}} {
		if _, err := d.catalog.sign(ref, s, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	d.reopen()
	if got := d.catalog.find(ref).Signatures; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("signatures are %q", got)
	}
	d.join("h", nil)
	if got := d.start("web", "1.0", "name=h").order(d.fleet.hosts["h"]).Signatures; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the order has signatures %q", got)
	}
	if _, err := d.catalog.sign(release.Ref{App: "web", Version: "2.0"}, []string{"a"}, "ann"); err == nil {
		t.Error("a release that does not exist was signed")
	}
	var many []string
	for i := range control.MaxSignatures + 1 {
		many = append(many, fmt.Sprint(i))
	}
	for name, bad := range map[string][]string{"too many": many, "too long": {strings.Repeat("x", control.MaxSignatureLen+1)}} {
		if _, err := d.catalog.sign(ref, bad, "ann"); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if got := d.catalog.find(ref).Signatures; len(got) != 2 {
		t.Errorf("what was refused left %d signatures", len(got))
	}
}

// However much one operator sends, another's signature is stored, and stays.
func TestJunkKeepsNobodyOut(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.make("web", "1.0")
	ref := release.Ref{App: "web", Version: "1.0"}
	sent := 0
	junk := func(n int) (all []string) {
		for range n {
			sent++
			all = append(all, fmt.Sprintf("junk %d", sent))
		}
		return all
	}
	for i, step := range []struct {
		by   string
		send []string
	}{
		{"mallory", junk(control.MaxSignatures)}, {"ann", []string{"ann's"}}, {"mallory", junk(20)},
		{"bob", []string{"bob's", "bob's other"}}, {"mallory", junk(control.MaxSignatures)}, {"mallory", []string{"ann's"}},
	} {
		if i == 3 {
			d.reopen() // who sent what is remembered
		}
		r, err := d.catalog.sign(ref, step.send, step.by)
		if err != nil || len(r.Signatures) != control.MaxSignatures || !slices.Contains(r.Signatures, step.send[len(step.send)-1]) {
			t.Fatalf("step %d: %d signatures, %v", i, len(r.Signatures), err)
		}
	}
	got := d.catalog.find(ref).Signatures
	for _, honest := range []string{"ann's", "bob's", "bob's other"} {
		if !slices.Contains(got, honest) {
			t.Errorf("%s is gone: %q", honest, got)
		}
	}
}

func TestCountersAreUnique(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.make("web", "1.0")
	m := d.catalog.find(release.Ref{App: "web", Version: "1.0"}).Manifest
	for _, c := range []struct {
		counter uint64
		stale   bool
	}{{1, true}, {2, false}, {2, true}, {1, true}, {40, false}, {39, false}, {39, true}, {41, false}} {
		m.Version, m.Counter = fmt.Sprintf("%d-%t-%d", c.counter, c.stale, time.Now().UnixNano()), c.counter
		_, err := d.catalog.create(control.CreateRelease{Manifest: m}, "ann")
		e, ok := errors.AsType[*control.Error](err)
		if stale := ok && e.Code == control.CodeStale; stale != c.stale || err != nil && !stale {
			t.Errorf("counter %d: %v", c.counter, err)
		}
	}
}

// A deploy that the hosts would refuse is refused at once; one that some host
// never had anything newer than is not.
func TestOlderReleaseNeedsAStatement(t *testing.T) {
	d := newDesk(t, t.TempDir())
	for _, v := range []string{"1.0", "2.0", "3.0"} {
		d.make("web", v)
	}
	d.join("a", nil)
	d.join("b", nil)
	made := d.start("web", "2.0", "name=a")
	d.seq["a"]++
	_, err := d.report(control.Report{
		Host: "a", Boot: "boot-a", Seq: d.seq["a"], Running: map[string]string{"web": "2.0"},
		Jobs: []control.JobReport{jobOf(made.order(d.fleet.hosts["a"]), release.Active, "")},
	}, d.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.deploy(request("web", "1.0", "name=b"), d.now); err != nil {
		t.Errorf("to a host without any release: %v", err)
	}
	_, err = d.deploy(request("web", "1.0", "name=*"), d.now)
	e, ok := errors.AsType[*control.Error](err)
	if !ok || e.Code != control.CodeRefused || e.Hint != "crow rollback web --to 1.0" || !strings.Contains(e.Message, " to a: ") {
		t.Errorf("to a host with a newer one: %v", err)
	}
	older := d.catalog.find(release.Ref{App: "web", Version: "1.0"}).Manifest
	for replaces, ok := range map[uint64]bool{2: true, 3: true} {
		req := request("web", "1.0", "name=*")
		req.Rollback = &control.Rollback{Statement: release.RollbackTo(older, replaces, d.now, time.Time{}), Signatures: []string{"s"}}
		back, err := d.deploy(req, d.now)
		if (err == nil) != ok {
			t.Errorf("with a statement that replaces %d: %v", replaces, err)
		}
		if err == nil && back.order(d.fleet.hosts["a"]).Rollback == nil {
			t.Error("the order does not carry the statement")
		}
	}
}

func TestExpiredReleaseIsRefused(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.make("web", "1.0")
	d.join("a", nil)
	r := d.catalog.find(release.Ref{App: "web", Version: "1.0"})
	r.Expires = d.now.Add(time.Hour)
	if _, err := d.deploy(request("web", "1.0", "name=a"), d.now); err != nil {
		t.Errorf("before: %v", err)
	}
	d.now = d.now.Add(time.Hour)
	_, err := d.deploy(request("web", "1.0", "name=a"), d.now)
	if e, ok := errors.AsType[*control.Error](err); !ok || e.Code != control.CodeRefused || !strings.Contains(e.Message, "expired") {
		t.Errorf("after: %v", err)
	}
}
