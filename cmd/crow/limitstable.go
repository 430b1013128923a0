package main

import (
	"strings"

	"crow/internal/control"
	"crow/internal/release"
)

// limitsSchema is the version of fleetLimits.
const limitsSchema = 1

// fleetLimits is crow limits --output json. Fields are only ever added.
type fleetLimits struct {
	Schema int             `json:"schema"`
	Seeder *control.Limits `json:"seeder"` // null: not asked for
	Hosts  []hostLimits    `json:"hosts"`
}

// hostLimits are the limits of one host: those in effect, as it said last, and
// what is ordered over its config.
type hostLimits struct {
	Name     string               `json:"name"`
	State    control.HostState    `json:"state"`
	Upload   *control.Limit       `json:"upload"`   // null: it has not said
	Download *control.Limit       `json:"download"` // null: it has not said
	Ordered  control.WantedLimits `json:"ordered"`
	Pending  bool                 `json:"pending"` // it has not confirmed what is ordered
}

func limitsDocument(seeder *control.Limits, hosts []control.Host) fleetLimits {
	doc := fleetLimits{Schema: limitsSchema, Seeder: seeder, Hosts: []hostLimits{}}
	for _, h := range hosts {
		one := hostLimits{Name: h.Name, State: h.State, Ordered: h.Wanted, Pending: !h.Wanted.Confirmed(h.Limits)}
		if h.Limits != nil {
			one.Upload, one.Download = &h.Limits.Upload, h.Limits.Download
		}
		doc.Hosts = append(doc.Hosts, one)
	}
	return doc
}

func (s *session) writeLimits(doc fleetLimits) error {
	if s.output != outputText {
		return s.writeJSON(doc)
	}
	writeTable(s.out, limitRows(doc))
	return nil
}

func limitRows(doc fleetLimits) [][]string {
	rows := [][]string{{"HOST", "STATE", "UPLOAD", "DOWNLOAD", "PENDING"}}
	if doc.Seeder != nil {
		rows = append(rows, []string{"(seeder)", "-", limitOf(&doc.Seeder.Upload), "-", "-"})
	}
	for _, h := range doc.Hosts {
		rows = append(rows, []string{oneLine(h.Name), string(h.State), limitOf(h.Upload), limitOf(h.Download), pendingOf(h)})
	}
	return rows
}

// limitOf is a limit and where it comes from.
func limitOf(l *control.Limit) string {
	if l == nil {
		return "-"
	}
	return rateWords(l.Rate) + " (" + oneLine(string(l.From)) + ")"
}

func rateWords(rate int64) string {
	if rate == 0 {
		return "no limit"
	}
	return release.Rate(rate).String()
}

// pendingOf is what a host has yet to confirm.
func pendingOf(h hostLimits) string {
	switch {
	case !h.Pending:
		return "-"
	case h.Ordered.IsZero():
		return "reset to the config"
	}
	return orderWords(control.ChangeLimits{Upload: h.Ordered.Upload, Download: h.Ordered.Download})
}

// limitsIn is a host's limits in a list of hosts: those that are, and whether
// others are ordered.
func limitsIn(h control.Host) string {
	var words []string
	if h.Limits != nil && h.Limits.Upload.Rate > 0 {
		words = append(words, "up "+rateWords(h.Limits.Upload.Rate))
	}
	if h.Limits != nil && h.Limits.Download != nil && h.Limits.Download.Rate > 0 {
		words = append(words, "down "+rateWords(h.Limits.Download.Rate))
	}
	if !h.Wanted.Confirmed(h.Limits) {
		words = append(words, "(pending)")
	}
	return orDash(strings.Join(words, " "))
}
