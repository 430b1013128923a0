package main

import (
	"fmt"
	"slices"
	"strings"
)

// What one seeder is held to with a thousand hosts.
const (
	mostCores  = 1.0
	mostPeak   = 300 // MiB
	mostStatus = 200 // ms
)

// scaleFigures are the rows of the table.
var scaleFigures = []struct {
	title string
	most  float64 // that it may be; 0: it is only told
	value func(scaleOutcome) float64
	text  func(float64) string
}{
	{"from the order to the last host, s", 0, func(o scaleOutcome) float64 { return o.Order }, threeDigits},
	{"of which the slowest host took itself, s", 0, func(o scaleOutcome) float64 { return o.Own }, threeDigits},
	{"seeder's CPU in the deploy, s", 0, func(o scaleOutcome) float64 { return o.CPU }, threeDigits},
	{"seeder's cores in the deploy", mostCores, func(o scaleOutcome) float64 { return over(o.CPU, o.Wall) }, hundredths},
	{"seeder's memory at most, MiB", mostPeak, func(o scaleOutcome) float64 { return float64(o.Peak) / mib }, whole},
	{"crow status in the deploy, median, ms", mostStatus, func(o scaleOutcome) float64 { return 1000 * median(o.During) }, whole},
	{"crow status in the deploy, worst, ms", mostStatus, func(o scaleOutcome) float64 { return 1000 * maxOf(o.During) }, whole},
	{"crow status after it, median, ms", mostStatus, func(o scaleOutcome) float64 { return 1000 * median(o.After) }, whole},
	{"crow status after it, worst, ms", mostStatus, func(o scaleOutcome) float64 { return 1000 * maxOf(o.After) }, whole},
}

// growthFigures are the rows on what many deploys leave.
var growthFigures = []struct {
	title string
	value func(holding) float64
	text  func(float64) string
}{
	{"seeder's memory now, MiB", func(h holding) float64 { return float64(h.RSS) / mib }, tenths},
	{"goroutines", func(h holding) float64 { return float64(h.Goroutines) }, whole},
	{"open files", func(h holding) float64 { return float64(h.Files) }, whole},
	{"disk, KiB", func(h holding) float64 { return float64(h.Disk) / 1024 }, whole},
}

const scaleLegend = `One real seeder with TLS, and hosts that are simulated in one other process, by the real control API: they take their orders by long polls and report each
phase, a few of them a failed hook, and move no bytes. The deploy is crow push, followed to its end; its order is when the seeder took it, the last host's end
when the seeder had its report. CPU and memory (VmHWM) of the seeder are from /proc; crow status APP --output json is the whole command, from its start to its end.
With --deploys the hosts are fifty times as fast.
`

// markdown is the report for people.
func (s scaled) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%d hosts on one seeder, %d of which fail**\n\n", s.Hosts, s.Failing)
	good := slices.DeleteFunc(slices.Clone(s.Outcomes), func(o scaleOutcome) bool { return o.Failure != "" })
	if len(good) > 0 {
		b.WriteString(scaleTable(good))
	}
	if s.Deploys > 1 && len(good) > 0 {
		fmt.Fprintf(&b, "\n%d deploys in a row, each to all hosts:\n\n%s", s.Deploys, growthTable(good))
	}
	if failures := s.failures(); len(failures) > 0 {
		fmt.Fprintf(&b, "\nFailed runs:\n%s", strings.Join(failures, ""))
	}
	return b.String()
}

func scaleTable(good []scaleOutcome) string {
	var rows [][]string
	for _, f := range scaleFigures {
		spread := spreadOver(good, f.value)
		must, measured, verdict := "-", spread.text(f.text), verdictOf(f.most, spread.Median)
		if f.most > 0 {
			must = "at most " + f.text(f.most)
		}
		if spread.Max == 0 {
			measured, verdict = "-", "-" // as when the deploy was over before crow status could be timed
		}
		rows = append(rows, []string{f.title, fmt.Sprint(len(good)), measured, must, verdict})
	}
	return markdownTable([]string{"figure", "runs", "measured", "must be", "verdict"}, rows)
}

func growthTable(good []scaleOutcome) string {
	var rows [][]string
	for _, f := range growthFigures {
		begin := spreadOver(good, func(o scaleOutcome) float64 { return f.value(*o.Begin) })
		end := spreadOver(good, func(o scaleOutcome) float64 { return f.value(*o.End) })
		rows = append(rows, []string{f.title, begin.text(f.text), end.text(f.text)})
	}
	return markdownTable([]string{"seeder", "after the first", "after the last"}, rows)
}

func spreadOver(all []scaleOutcome, value func(scaleOutcome) float64) spread {
	var values []float64
	for _, o := range all {
		values = append(values, value(o))
	}
	return spreadOf(values)
}

func (s scaled) failures() []string {
	var lines []string
	for _, o := range s.Outcomes {
		if o.Failure != "" {
			lines = append(lines, fmt.Sprintf("- %s, run %d: %s\n", nameScale, o.Run, o.Failure))
		}
	}
	return lines
}
