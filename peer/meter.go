package peer

import "time"

// meterWindow is what a rate is taken over: long enough for pieces that come in
// bursts, short enough to show a straggler at once.
const meterWindow = 5 * time.Second

// meter turns counts of what has arrived into a rate.
type meter struct{ samples []sample }

type sample struct {
	at    time.Time
	bytes int64
}

// rate takes the count as it is now, and returns bytes per second over the
// window, or over what is known of it.
func (m *meter) rate(now time.Time, bytes int64) int64 {
	m.samples = append(m.samples, sample{now, bytes})
	// The newest sample that is as old as the window or older is where it begins.
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= meterWindow {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	took := now.Sub(first.at).Seconds()
	if took <= 0 || bytes <= first.bytes {
		return 0
	}
	return int64(float64(bytes-first.bytes) / took)
}
