package main

import "math"

// What trials are held to, as ratios.
const (
	mostSlowed = 1.10 // of the others, by one slow host
	mostLate   = 1.30 // of http1: what a newcomer needs from its own start
	mostApps   = 1.15 // of the sum of what each app needs alone
)

// finding is one figure of a trial.
type finding struct {
	Trial  string  `json:"trial"`
	Figure string  `json:"figure"`
	Most   float64 `json:"must,omitempty"` // what the ratio may be at most; 0: it is only told
	Runs   int     `json:"runs"`
	Spread spread  `json:"ratio"`
}

// must is what the figure may be at most, for people.
func (f finding) must() string {
	if f.Most == 0 {
		return "-"
	}
	return "at most " + hundredths(f.Most)
}

// verdict is whether the median is within that, as precisely as it is shown.
func (f finding) verdict() string {
	return verdictOf(f.Most, f.Spread.Median)
}

// verdictOf compares a figure with the most that it may be; 0 is no limit.
func verdictOf(most, figure float64) string {
	switch {
	case most == 0:
		return "-"
	case math.Round(100*figure) > math.Round(100*most):
		return "**missed**"
	}
	return "held"
}

// findings compare each run of a trial with the plain crow of the same round.
// Rounds where one of the two failed have no figure.
func findings(outcomes []outcome, apps int) []finding {
	plain := map[int]outcome{}
	for _, o := range outcomes {
		if o.System == nameCrow && o.Failure == "" {
			plain[o.Run] = o
		}
	}
	values := map[finding][]float64{}
	var order []finding
	for _, o := range outcomes {
		base, ok := plain[o.Run]
		if !isTrial(o.System) || o.Failure != "" || !ok {
			continue
		}
		for _, r := range ratiosOf(o, base, apps) {
			key := finding{Trial: o.System, Figure: r.name, Most: r.most}
			if values[key] == nil {
				order = append(order, key)
			}
			values[key] = append(values[key], r.value)
		}
	}
	for i, f := range order {
		order[i].Runs, order[i].Spread = len(values[f]), spreadOf(values[f])
	}
	return order
}

type namedRatio struct {
	name  string
	most  float64 // what it may be; 0: anything
	value float64
}

// ratiosOf are a trial's figures. The last host is the one that differs.
func ratiosOf(o, plain outcome, apps int) []namedRatio {
	last := len(o.Seconds) - 1
	if o.System == nameApps {
		return []namedRatio{{"the last app's end over the sum of each alone", mostApps, over(o.makespan(), float64(apps)*plain.makespan())}}
	}
	others := over(maxOf(o.Seconds[:last]), maxOf(plain.Seconds[:last]))
	if o.System == nameLate {
		return []namedRatio{
			{"the late host's own time over http1", mostLate, over(o.Seconds[last], o.T1)},
			{"the others over a run where none is late", 0, others},
		}
	}
	return []namedRatio{
		{"the others over a run with even links", mostSlowed, others},
		{"the slow host over ten times http1", 0, over(o.Seconds[last], 10*o.T1)},
	}
}
