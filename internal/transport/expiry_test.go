package transport

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestEndsSoon(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		expires time.Time
		soon    bool
	}{
		{time.Time{}, false}, {now.AddDate(0, 0, 15), false}, {now.AddDate(0, 0, 14), false},
		{now.AddDate(0, 0, 13), true}, {now, true}, {now.AddDate(0, 0, -1), true},
	} {
		if got := EndsSoon(c.expires, now); got != c.soon {
			t.Errorf("%s: %t", c.expires, got)
		}
	}
}

// A certificate that is replaced is complained of no longer; nor is none.
func TestWatchExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Hour)
		defer cancel()
		if err := (Security{}).WatchExpiry(ctx, zap.New(core)); err != nil || logs.Len() != 0 {
			t.Errorf("without TLS: %v, %d lines", err, logs.Len())
		}
	})
}
