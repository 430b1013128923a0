package tracker

import (
	"testing"
	"time"
)

func TestInterval(t *testing.T) {
	const least, most = 2 * time.Second, 30 * time.Minute
	for _, test := range []struct {
		role  role
		total counts
		want  time.Duration
	}{
		{downloader, counts{0, 0}, least},
		{downloader, counts{16, 1}, least},
		{downloader, counts{400, 0}, least},
		{downloader, counts{1000, 0}, 5 * time.Second},
		{downloader, counts{1000, 100_000}, 5 * time.Second}, // seeds of old releases do not slow a new one
		{downloader, counts{10_000, 0}, 50 * time.Second},
		{downloader, counts{1_000_000, 0}, most},
		{seed, counts{0, 1}, 30 * time.Second},
		{seed, counts{0, 1500}, 30 * time.Second},
		{seed, counts{0, 10_000}, 200 * time.Second},
		{seed, counts{0, 250_000}, most},
	} {
		if got := interval(test.role, test.total, least, most); got != test.want {
			t.Errorf("role %d of %v: got %s, want %s", test.role, test.total, got, test.want)
		}
	}
	if got := interval(seed, counts{}, time.Second, 5*time.Second); got != 5*time.Second {
		t.Errorf("a seed under a low maximum: got %s", got)
	}
}

// Whatever the number of members, announces stay under the sum of the rates,
// until the longest interval is reached.
func TestIntervalBoundsTheLoad(t *testing.T) {
	for n := 500; n < 80_000; n += 500 {
		c := counts{n, n}
		load := 0.0
		for r := range roles {
			load += float64(n) / interval(r, c, 2*time.Second, 30*time.Minute).Seconds()
		}
		if load > downloaderRate+seedRate+1 {
			t.Errorf("%d of each role: %.0f announces a second", n, load)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		draw float64
		want time.Duration
	}{
		{2 * time.Second, 0, 2 * time.Second},
		{2 * time.Second, 0.99, 2 * time.Second},
		{80 * time.Second, 0.5, 85 * time.Second},
		{1500 * time.Millisecond, 0, 2 * time.Second},
	} {
		if got := spread(test.d, test.draw); got != test.want {
			t.Errorf("%s by %v: got %s, want %s", test.d, test.draw, got, test.want)
		}
	}
}

func TestLifeOutlastsTheInterval(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 5 * time.Minute, 30 * time.Minute} {
		if got := life(d); got < 3*d || got < minLife {
			t.Errorf("%s: got %s", d, got)
		}
	}
}
