package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/signing"
	"crow/internal/transport"
)

var testRef = release.Ref{App: "web", Version: "2"}

// parsedRollout is what flags come to, over a rollout that is there already.
func parsedRollout(t *testing.T, o rollout, args ...string) (rollout, error) {
	t.Helper()
	cmd := &cli.Command{
		Name: "deploy", Flags: deployFlags(), DisableSliceFlagSeparator: true,
		Action: func(_ context.Context, cmd *cli.Command) error { return o.take(cmd) },
	}
	err := cmd.Run(t.Context(), append([]string{"deploy"}, args...))
	return o, err
}

// TestRolloutFlags holds that each flag arrives in the request that the seeder is
// sent, by the name that the API has for it.
func TestRolloutFlags(t *testing.T) {
	for _, c := range []struct{ name, flags, want string }{
		{"none", "", `{"app":"web","version":"2","targets":null}`},
		{"all", "--target role=web --exclude zone=b --wave 1,10%,100% --wave-pause 90s --hosts-at-once 3 --max-failures 5% --on-failure pause --idempotency-key build-7",
			`{"app":"web","version":"2","targets":["role=web"],"excludes":["zone=b"],"wave":["1","10%","100%"],"wave_pause":"1m30s","hosts_at_once":3,"max_failures":"5%","on_failure":"pause","idempotency_key":"build-7"}`},
		{"no failure at all", "--max-failures 0", `{"app":"web","version":"2","targets":null,"max_failures":"0"}`},
		{"fetch", "--fetch-only", `{"app":"web","version":"2","targets":null,"fetch_only":true}`},
	} {
		o, err := parsedRollout(t, rollout{ref: testRef, timeout: defaultTimeout}, strings.Fields(c.flags)...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := requestText(t, o); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func requestText(t *testing.T, o rollout) string {
	t.Helper()
	b, err := json.Marshal(o.request())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFlagsReplace holds that a flag replaces its own field, and no other.
func TestFlagsReplace(t *testing.T) {
	share := release.Hosts(2)
	base := rollout{
		ref: testRef, timeout: time.Hour, detach: true, key: "k",
		selector: release.Selector{Targets: []release.Expr{"role=db"}, Excludes: []release.Expr{"zone=c"}},
		steps:    release.Rollout{Waves: []release.Share{release.Percent(100)}, MaxFailures: &share, OnFailure: release.OnFailurePause},
	}
	kept, err := parsedRollout(t, base)
	if err != nil || requestText(t, kept) != requestText(t, base) || kept.timeout != time.Hour || !kept.detach {
		t.Errorf("without flags: %+v, %v", kept, err)
	}
	got, err := parsedRollout(t, base, "--target", "role=web", "--max-failures", "9", "--timeout", "5m")
	if err != nil || got.selector.Targets[0] != "role=web" || got.selector.Excludes[0] != "zone=c" || *got.steps.MaxFailures != release.Hosts(9) ||
		len(got.steps.Waves) != 1 || got.timeout != 5*time.Minute {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestFallbackAllowsGoingBack holds that hosts which took any release that is known
// may go back by the statement, and that the keys at hand have signed it.
func TestFallbackAllowsGoingBack(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name       string
		old, newer uint64
	}{
		{"made long ago", 100, 200},
		{"made just now", uint64(now.Unix()) - 1, uint64(now.Unix())},
		{"by a clock that is ahead", uint64(now.Unix()) + 50, uint64(now.Unix()) + 60},
		{"the other way round", 200, 100},
	} {
		previous, next := releaseAt("1", c.old, now), releaseAt("2", c.newer, now)
		back, err := signer{}.fallback(previous.Manifest, []control.Release{next, previous}, now)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err := release.Admit(previous.Manifest, &back.Statement, max(c.newer, c.old), release.Digest{}, now); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(back.Signatures) != 0 {
			t.Errorf("%s: signed by nobody's key", c.name)
		}
	}
}

func TestLacksForBack(t *testing.T) {
	key, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	one := signer{keys: []signing.PrivateKey{key}}
	back := release.Rollout{OnFailure: release.OnFailureRollback}
	for _, c := range []struct {
		name      string
		o         rollout
		threshold int
		cert      string
		want      string
	}{
		{"no way back", rollout{}, 1, "operator.crt", ""},
		{"a lab", rollout{steps: back}, 0, "", ""},
		{"no key", rollout{steps: back}, 1, "operator.crt", "the way back is not signed"},
		{"enough", rollout{steps: back, signer: one}, 1, "operator.crt", ""},
		{"one of two", rollout{steps: back, signer: one}, 2, "operator.crt", "the way back is signed by 1 key, and the config's trust wants 2"},
	} {
		s := &session{tls: transport.TLS{Cert: c.cert}, trust: signing.Trust{Threshold: c.threshold}}
		if got := s.lacksForBack(c.o); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func releaseAt(version string, counter uint64, created time.Time) control.Release {
	blob := control.Blob{SHA256: release.Digest{1}, Size: 10, InfoHash: release.Digest{2}, PieceLength: 16 << 10}
	return control.Release{Manifest: blob.Manifest(release.Ref{App: "web", Version: version}, counter, created)}
}

// TestFlagsTakeAlong holds that a flag takes with it what a file says that means
// nothing beside it, and nothing that other flags say.
func TestFlagsTakeAlong(t *testing.T) {
	steps := release.Rollout{
		Waves: []release.Share{release.Hosts(1), release.Percent(100)}, WavePause: release.Duration(10 * time.Minute), HostsAtOnce: 5, OnFailure: release.OnFailureRollback,
	}
	const head = `{"app":"web","version":"2","targets":null,`
	for _, c := range []struct{ flags, want string }{
		{"--wave 100%", head + `"wave":["100%"],"hosts_at_once":5,"on_failure":"rollback"}`},
		{"--wave 50%,100%", head + `"wave":["50%","100%"],"wave_pause":"10m0s","hosts_at_once":5,"on_failure":"rollback"}`},
		{"--fetch-only", head + `"fetch_only":true}`},
		{"--fetch-only --on-failure pause", head + `"on_failure":"pause","fetch_only":true}`},
		{"--wave 100% --wave-pause 5m", "--wave-pause 5m0s: "},
		{"--fetch-only --wave 100%", "--fetch-only: "},
	} {
		o, err := parsedRollout(t, rollout{ref: testRef, timeout: defaultTimeout, steps: steps}, strings.Fields(c.flags)...)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = requestText(t, o)
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.flags, got, c.want)
		}
	}
}
