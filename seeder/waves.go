package seeder

import (
	"crow/internal/control"
	"crow/internal/release"
)

// waveOf is each counted host's wave, from 1.
func (d *deploy) waveOf() map[string]int {
	of := make(map[string]int, len(d.Hosts))
	wave := 1
	for n, i := range d.program.Turns {
		if n == d.program.WaveEnds[wave-1] {
			wave++
		}
		of[d.Hosts[i]] = wave
	}
	return of
}

// waves are how far each wave has come. Rows must be in memory.
func (d *deploy) waves() []control.WaveStatus {
	all := make([]control.WaveStatus, len(d.program.WaveEnds))
	of := d.waveOf()
	for _, name := range d.Hosts {
		w := &all[of[name]-1]
		w.Hosts++
		switch d.rows[name].Shown().Phase {
		case release.Active:
			w.Active++
		case release.Failed:
			w.Failed++
		}
	}
	for i := range all {
		switch w := &all[i]; {
		case w.Active+w.Failed == w.Hosts:
			w.State = control.WaveEnded
		case i < d.Course.Wave && !d.Phase.Ended():
			w.State = control.WaveOpen
		default:
			w.State = control.WaveWaiting
		}
		if d.Phase.Ended() && !d.Rollout.FetchOnly {
			all[i].Outcome = outcomeOf(all[i].State, i < d.Course.Wave)
		}
	}
	return all
}

// outcomeOf is what a wave came to that was reached, or not.
func outcomeOf(s control.WaveState, reached bool) control.WaveOutcome {
	switch {
	case s == control.WaveEnded:
		return control.OutcomeEnded
	case reached:
		return control.OutcomeUnfinished
	}
	return control.OutcomeNotReached
}
