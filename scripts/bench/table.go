package main

import (
	"fmt"
	"strings"
)

// markdownTable writes rows under a header, the first column to the left and
// the figures to the right.
func markdownTable(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(header)
	fmt.Fprintf(&b, "|---%s|\n", strings.Repeat("|---:", len(header)-1))
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

// columns are the table's figures of a system's runs that did not fail. Units
// stand in the titles, since a cell has up to three numbers.
var columns = []struct {
	title string
	value func(outcome) float64
	text  func(float64) string
}{
	{"makespan, s", outcome.makespan, threeDigits},
	{"over http1", outcome.ratio, hundredths},
	{"median host over http1", outcome.medianRatio, hundredths},
	{"copies sent", func(o outcome) float64 { return o.Copies }, hundredths},
	{"fetched twice, %", func(o outcome) float64 { return 100 * o.Twice }, tenths},
	{"CPU, s", func(o outcome) float64 { return o.CPU }, threeDigits},
	{"CPU per GiB, s", outcome.cpuPerGiB, threeDigits},
	{"seeder's memory, MiB", func(o outcome) float64 { return float64(o.SeederPeak) / mib }, whole},
	{"worst host's memory, MiB", func(o outcome) float64 { return float64(o.WorstPeak) / mib }, whole},
}

// resultTable has a row for each system, in the order in which they ran.
func resultTable(outcomes []outcome) string {
	header := []string{"system", "runs"}
	for _, c := range columns {
		header = append(header, c.title)
	}
	var rows [][]string
	for _, name := range namesOf(outcomes) {
		rows = append(rows, resultRow(name, outcomes))
	}
	return markdownTable(header, rows)
}

func resultRow(name string, outcomes []outcome) []string {
	var good []outcome
	ran := 0
	for _, o := range outcomes {
		if o.System != name {
			continue
		}
		ran++
		if o.Failure == "" {
			good = append(good, o)
		}
	}
	row := []string{name, runsText(len(good), ran)}
	for _, c := range columns {
		row = append(row, columnText(good, c.value, c.text))
	}
	return row
}

func runsText(good, ran int) string {
	if good == ran {
		return fmt.Sprint(ran)
	}
	return fmt.Sprintf("%d, **%d failed**", ran, ran-good)
}

func columnText(good []outcome, value func(outcome) float64, text func(float64) string) string {
	if len(good) == 0 {
		return "-"
	}
	var values []float64
	for _, o := range good {
		values = append(values, value(o))
	}
	return spreadOf(values).text(text)
}

// namesOf are the systems in the order of their first run.
func namesOf(outcomes []outcome) []string {
	var names []string
	seen := map[string]bool{}
	for _, o := range outcomes {
		if !seen[o.System] {
			seen[o.System] = true
			names = append(names, o.System)
		}
	}
	return names
}

func findingTable(all []finding) string {
	var rows [][]string
	for _, f := range all {
		rows = append(rows, []string{f.Trial + ": " + f.Figure, fmt.Sprint(f.Runs), f.Spread.text(hundredths), f.must(), f.verdict()})
	}
	return markdownTable([]string{"trial", "runs", "ratio", "must be", "verdict"}, rows)
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

func tenths(v float64) string { return fmt.Sprintf("%.1f", v) }

func hundredths(v float64) string { return fmt.Sprintf("%.2f", v) }

// threeDigits shows as much of a time as one run repeats.
func threeDigits(v float64) string {
	switch {
	case v < 10:
		return hundredths(v)
	case v < 100:
		return tenths(v)
	}
	return whole(v)
}
