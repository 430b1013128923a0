package main

import (
	"testing"
	"time"

	"crow/internal/control"
)

// TestOlder holds that the newest of each app stay, whatever else stands between them.
func TestOlder(t *testing.T) {
	r := func(app, version string) control.Release {
		r := releaseAt(version, 1, time.Now())
		r.App = app
		return r
	}
	all := []control.Release{r("web", "3"), r("api", "9"), r("web", "2"), r("web", "1"), r("api", "8")}
	for keep, want := range map[int]string{1: "web@2 web@1 api@8 ", 2: "web@1 ", 3: ""} {
		got := ""
		for _, r := range older(all, keep) {
			got += r.Ref().String() + " "
		}
		if got != want {
			t.Errorf("keep %d: %q, want %q", keep, got, want)
		}
	}
}
