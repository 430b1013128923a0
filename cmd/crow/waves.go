package main

import (
	"fmt"
	"slices"

	"crow/internal/control"
)

// currentWave is the last wave that has begun, counted from 0; the first one if none
// has.
func currentWave(st control.DeployStatus) int {
	for i, w := range slices.Backward(st.Waves) {
		if w.State != control.WaveWaiting || w.Outcome == control.OutcomeUnfinished {
			return i
		}
	}
	return 0
}

// waveName is where a deploy in waves is, such as wave 2/3; empty without waves.
func waveName(st control.DeployStatus) string {
	if len(st.Waves) < 2 {
		return ""
	}
	return fmt.Sprintf("wave %d/%d", currentWave(st)+1, len(st.Waves))
}

// waveLine is how far the wave is, and what comes after it; empty without waves.
func waveLine(st control.DeployStatus) string {
	if len(st.Waves) < 2 {
		return ""
	}
	i := currentWave(st)
	w := st.Waves[i]
	line := fmt.Sprintf("%s: %d/%d active", waveName(st), w.Active, w.Hosts)
	if w.Failed > 0 {
		line += fmt.Sprintf(", %d failed", w.Failed)
	}
	switch {
	case st.Phase.Ended():
		line += unreached(st)
	case w.State == control.WaveWaiting:
		line += ", not begun"
	case i+1 < len(st.Waves) && st.Rollout.WavePause > 0:
		line += fmt.Sprintf(", next after %s pause", st.Rollout.WavePause)
	}
	return line
}

// unreached tells of the waves of an ended deploy that it did not come to.
func unreached(st control.DeployStatus) string {
	last := len(st.Waves)
	switch first := slices.IndexFunc(st.Waves, isUnreached) + 1; first {
	case 0:
		return ""
	case last:
		return fmt.Sprintf("; wave %d not reached", last)
	default:
		return fmt.Sprintf("; waves %d to %d not reached", first, last)
	}
}

func isUnreached(w control.WaveStatus) bool { return w.Outcome == control.OutcomeNotReached }

// waitsOf are the lines on what a deploy that runs is at.
func waitsOf(st control.DeployStatus) (lines []string) {
	for _, line := range []string{waveLine(st), waitsFor(st)} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// waitsFor is what has to happen for a deploy to go on; empty if it has ended.
func waitsFor(st control.DeployStatus) string {
	if st.WaitsFor == "" || st.Phase.Ended() {
		return ""
	}
	return "waits for: " + clip(oneLine(st.WaitsFor), maxNote)
}
