package tracker

import "time"

// Rates of regular announces that the intervals aim at, over all swarms
// together: downloaders need new neighbours while they download, seeds only
// stay listed, since downloaders find them by their own announces. An announce
// costs some 0.05 ms of CPU with its HTTP, so that both together are some 1 % of
// a core.
const (
	downloaderRate = 200 // a second: 1,000 downloaders announce every 5 s
	seedRate       = 50  // a second: 1,000 seeds announce every 30 s, 10,000 every 200 s
)

// seedInterval is a seed's shortest interval.
const seedInterval = 30 * time.Second

// minLife is how long a host is listed at least after an announce. Clients of
// others have shortest intervals of their own, of minutes, whatever a tracker
// says, and should not drop out between them.
const minLife = 6 * time.Minute

// interval is how long a host of that role waits until its next announce, with
// so many members in all swarms together.
func interval(r role, total counts, least, most time.Duration) time.Duration {
	rate := downloaderRate
	if r == seed {
		rate, least = seedRate, max(least, seedInterval)
	}
	return min(max(time.Duration(total[r])*time.Second/time.Duration(rate), least), most)
}

// spread lengthens an interval by up to an eighth, by a draw from 0 to 1: hosts
// that one event woke would else announce together for ever. The result is in
// whole seconds, as answers are.
func spread(d time.Duration, draw float64) time.Duration {
	d += time.Duration(draw * float64(d) / 8)
	return d.Round(time.Second)
}

// life is how long a host is listed that was told to announce again after d: it
// may miss two announces.
func life(d time.Duration) time.Duration { return max(3*d, minLife) }
