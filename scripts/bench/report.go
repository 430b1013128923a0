package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// report is all that a bench has to say.
type report struct {
	Facts       facts    `json:"facts"`
	LeftOut     []string `json:"left_out"`
	Interrupted bool     `json:"interrupted"`
	Results     []result `json:"results"`
	Scale       *scaled  `json:"scale,omitempty"` // of --scale, which has no results
}

// empty reports whether nothing was measured.
func (r report) empty() bool {
	return len(r.Results) == 0 && (r.Scale == nil || len(r.Scale.Outcomes) == 0)
}

// result is a scenario's.
type result struct {
	Scenario scenario  `json:"scenario"`
	Outcomes []outcome `json:"outcomes"`
	Findings []finding `json:"trials"`
}

func newResult(s scenario, outcomes []outcome, apps int) result {
	return result{Scenario: s, Outcomes: outcomes, Findings: findings(outcomes, apps)}
}

const legend = `Each figure is the median of the runs, with the least and the most in brackets. http1 is one host alone by plain HTTP; ratios are to it in the same run.
The makespan ends when the last host has the whole file; crow's begins with the push and ends with the last deploy hook, that of the others begins when
the first host's client is started. Copies sent (by the seeder) and fetched twice are the systems' own counts; --json has those of the links too. CPU is of all
processes from their start to their end. Memory is VmHWM; libtorrent maps its files into memory, and they count.
crow is in the clear; crow-tls is crow with mutual TLS for HTTP and between neighbours, a gossip key, and a signed release, which hosts would not run unsigned.
`

// markdown is the report for people.
func (r report) markdown() string {
	var b strings.Builder
	b.WriteString(r.Facts.lines())
	for _, note := range r.LeftOut {
		fmt.Fprintf(&b, "- %s\n", note)
	}
	if r.Interrupted {
		b.WriteString("- **interrupted: runs are missing**\n")
	}
	for _, one := range r.Results {
		b.WriteString("\n" + one.markdown())
	}
	if r.Scale != nil {
		return b.String() + "\n" + r.Scale.markdown() + "\n" + scaleLegend
	}
	b.WriteString("\n" + legend)
	return b.String()
}

func (r result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n%s", r.Scenario, resultTable(r.Outcomes))
	if len(r.Findings) > 0 {
		b.WriteString("\n" + findingTable(r.Findings))
	}
	if failures := r.failures(); len(failures) > 0 {
		fmt.Fprintf(&b, "\nFailed runs:\n%s", strings.Join(failures, ""))
	}
	return b.String()
}

func (r result) failures() []string {
	var lines []string
	for _, o := range r.Outcomes {
		if o.Failure != "" {
			lines = append(lines, fmt.Sprintf("- %s, run %d: %s\n", o.System, o.Run, o.Failure))
		}
	}
	return lines
}

// failed reports whether any run did.
func (r report) failed() bool {
	for _, one := range r.Results {
		if len(one.failures()) > 0 {
			return true
		}
	}
	return r.Scale != nil && len(r.Scale.failures()) > 0
}

// writeJSON writes every figure of every run; an empty path writes nothing.
func (r report) writeJSON(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return nil
}

// oneLine is an error without the line breaks of joined ones.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
