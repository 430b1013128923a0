package main

// finding is one figure of a trial.
type finding struct {
	Trial  string `json:"trial"`
	Figure string `json:"figure"`
	Runs   int    `json:"runs"`
	Spread spread `json:"ratio"`
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
			key := finding{Trial: o.System, Figure: r.name}
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
	value float64
}

// ratiosOf are a trial's figures. The last host is the one that differs.
func ratiosOf(o, plain outcome, apps int) []namedRatio {
	last := len(o.Seconds) - 1
	if o.System == nameApps {
		return []namedRatio{{"the last app's end over the sum of each alone", over(o.makespan(), float64(apps)*plain.makespan())}}
	}
	others := over(maxOf(o.Seconds[:last]), maxOf(plain.Seconds[:last]))
	if o.System == nameLate {
		return []namedRatio{
			{"the late host's own time over http1", over(o.Seconds[last], o.T1)},
			{"the others over a run where none is late", others},
		}
	}
	return []namedRatio{
		{"the others over a run with even links", others},
		{"the slow host over ten times http1", over(o.Seconds[last], 10*o.T1)},
	}
}
