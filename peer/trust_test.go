package peer

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/signing"
	"crow/internal/store"
)

// signers makes keys, of which a host may trust some.
func signers(t *testing.T, n int) []signing.PrivateKey {
	t.Helper()
	var keys []signing.PrivateKey
	for range n {
		k, err := signing.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

func trustOf(threshold int, keys ...signing.PrivateKey) signing.Trust {
	trust := signing.Trust{Threshold: threshold}
	for _, k := range keys {
		trust.Keys = append(trust.Keys, k.Public())
	}
	return trust
}

func signed(t *testing.T, encode func() ([]byte, error), keys ...signing.PrivateKey) (signatures []string) {
	t.Helper()
	b, err := encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		signatures = append(signatures, signing.Sign(k, b, "test"))
	}
	return signatures
}

func manifestOf(version string, counter uint64) release.Manifest {
	return release.Manifest{
		Schema: release.ManifestSchema, App: "web", Version: version, Counter: counter, SHA256: release.Digest{byte(counter)}, Size: 100,
		InfoHash: release.Digest{byte(counter), 1}, PieceLength: release.MinPieceLength, Created: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
	}
}

func TestOrdersMustBeSigned(t *testing.T) {
	keys := signers(t, 4)
	a, b, c, foreign := keys[0], keys[1], keys[2], keys[3]
	m := manifestOf("1.0", 5)
	other, twin := manifestOf("1.1", 6), manifestOf("1.0.1", 5)
	digest, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	back := release.RollbackTo(m, 7, m.Created, time.Time{})
	short := release.RollbackTo(m, 6, m.Created, time.Time{})
	now := m.Created.Add(time.Hour)
	expired := m
	expired.Expires = now
	rollback := func(r release.Rollback, keys ...signing.PrivateKey) *control.Rollback {
		return &control.Rollback{Statement: r, Signatures: signed(t, r.Encode, keys...)}
	}
	tests := []struct {
		name     string
		trust    signing.Trust
		order    control.Order
		accepted uint64 // the manifest m, if it is m's counter
		want     string // in the error; empty: it may run
	}{
		{"signed", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a)}, 0, ""},
		{"signed, the same again", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a)}, 5, ""},
		{"signed, another of the same counter", trustOf(1, a), control.Order{Manifest: twin, Signatures: signed(t, twin.Encode, a)}, 5, "same counter"},
		{"not signed", trustOf(1, a), control.Order{Manifest: m}, 0, "manifest of web@1.0"},
		{"by a stranger", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, m.Encode, foreign)}, 0, foreign.Public().ID()},
		{"of another manifest", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, other.Encode, a)}, 0, "manifest of web@1.0"},
		{"one of two", trustOf(2, a, b, c), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a)}, 0, "manifest of web@1.0"},
		{"one of two, twice", trustOf(2, a, b, c), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a, a)}, 0, "manifest of web@1.0"},
		{"two of three", trustOf(2, a, b, c), control.Order{Manifest: m, Signatures: signed(t, m.Encode, c, a)}, 0, ""},
		{"older", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a)}, 6, "older"},
		{"older, with a statement", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a), Rollback: rollback(back, a)}, 7, ""},
		{"older, with a stranger's statement", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a), Rollback: rollback(back, foreign)}, 7, "rollback statement"},
		{"older, with a statement of too few", trustOf(2, a, b), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a, b), Rollback: rollback(back, a)}, 7, "rollback statement"},
		{"older, with a statement from before the newest", trustOf(1, a), control.Order{Manifest: m, Signatures: signed(t, m.Encode, a), Rollback: rollback(short, a)}, 7, "older"},
		{"newer, with a bad statement", trustOf(1, a), control.Order{Manifest: other, Signatures: signed(t, other.Encode, a), Rollback: rollback(back, foreign)}, 0, "rollback statement"},
		{"expired", trustOf(1, a), control.Order{Manifest: expired, Signatures: signed(t, expired.Encode, a)}, 0, "expired"},
		{"no trust, not signed", signing.Trust{}, control.Order{Manifest: m}, 0, ""},
		{"no trust, older", signing.Trust{}, control.Order{Manifest: m}, 6, "older"},
		{"no trust, another of the same counter", signing.Trust{}, control.Order{Manifest: twin}, 5, "same counter"},
		{"no trust, expired", signing.Trust{}, control.Order{Manifest: expired}, 0, "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := &job{host: &host{cfg: Config{Trust: tt.trust}}, order: tt.order, rec: record{Accepted: tt.accepted, AcceptedSHA256: digest}}
			err := j.vouched(now)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// What a host has accepted it remembers over a restart, and a rollback does not
// make it forget. A record of an earlier crow learns which release that was.
func TestAcceptedCounterStays(t *testing.T) {
	key := signers(t, 1)[0]
	docs, err := store.Open(t.TempDir(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer docs.Close()
	h := &host{cfg: Config{Trust: trustOf(1, key)}, state: state{docs: docs, log: nopLog}, log: nopLog}
	try := func(o control.Order) error {
		o.Signatures = signed(t, o.Manifest.Encode, key)
		j := &job{host: h, order: o, rec: h.state.app(layout{t.TempDir()}, "web")}
		return j.trusted(t.Context())
	}
	if err := h.state.putApp("web", record{Accepted: 1}); err != nil {
		t.Fatal(err)
	}
	first, second := manifestOf("1.0", 1), manifestOf("2.0", 2)
	back := release.RollbackTo(first, 2, first.Created, time.Time{})
	for _, step := range []struct {
		order   control.Order
		refused bool
	}{
		{control.Order{Manifest: first}, false},
		{control.Order{Manifest: manifestOf("1.0.1", 1)}, true},
		{control.Order{Manifest: second}, false},
		{control.Order{Manifest: manifestOf("2.0.1", 2)}, true},
		{control.Order{Manifest: first}, true},
		{control.Order{Manifest: first, Rollback: &control.Rollback{Statement: back, Signatures: signed(t, back.Encode, key)}}, false},
		{control.Order{Manifest: first}, true},
		{control.Order{Manifest: manifestOf("2.0.1", 2)}, true},
		{control.Order{Manifest: second}, false},
		{control.Order{Manifest: manifestOf("3.0", 3)}, false},
		{control.Order{Manifest: first, Rollback: &control.Rollback{Statement: back, Signatures: signed(t, back.Encode, key)}}, true},
	} {
		if err := try(step.order); errors.Is(err, errRefused) != step.refused || err != nil && !step.refused {
			t.Errorf("%s: %v", step.order.Manifest.Ref(), err)
		}
	}
}

func TestSignaturesOfOrdersAreBounded(t *testing.T) {
	o := control.Order{Deploy: "d-1", Manifest: manifestOf("1.0", 1), Goal: control.GoalActivate}
	if err := checkOrder(o); err != nil {
		t.Fatal(err)
	}
	o.Signatures = []string{strings.Repeat("x", control.MaxSignatureLen+1)}
	if checkOrder(o) == nil {
		t.Error("a huge signature was taken")
	}
	o.Signatures = make([]string, control.MaxSignatures+1)
	if checkOrder(o) == nil {
		t.Error("any number of signatures was taken")
	}
}

// What was lost of the release that is live comes back, although a newer one was
// accepted, or the statement that led to it has expired. One that failed to go live
// after it makes it an older one like any other.
func TestWhatIsLiveMayComeBack(t *testing.T) {
	keys := signers(t, 2)
	key, stranger := keys[0], keys[1]
	m := manifestOf("1.0", 5)
	m.Expires = m.Created.Add(time.Hour)
	good := &placed{Version: "1.0", SHA256: m.SHA256, InfoHash: m.InfoHash, Size: m.Size}
	other := *good
	other.SHA256 = release.Digest{9}
	now := m.Created.Add(48 * time.Hour)
	for name, c := range map[string]struct {
		rec  record
		by   signing.PrivateKey
		want string // in the error; empty: it may run
	}{
		"it was live":                {record{Good: good}, key, ""},
		"nobody trusted has signed":  {record{Good: good}, stranger, "manifest of web@1.0"},
		"another one was live":       {record{Good: &other}, key, "expired"},
		"a newer one failed":         {record{Good: good, Broken: "2.0"}, key, "expired"},
		"a newer one was going live": {record{Good: good, Activating: &intent{}}, key, "expired"},
		"nothing was":                {record{}, key, "expired"},
	} {
		c.rec.Accepted = 7
		j := &job{host: &host{cfg: Config{Trust: trustOf(1, key)}}, order: control.Order{Manifest: m, Signatures: signed(t, m.Encode, c.by)}, rec: c.rec}
		if err := j.vouched(now); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}
