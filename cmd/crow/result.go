package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// writeJSON writes one document: indented for --output json, on one line for
// jsonl.
func (s *session) writeJSON(v any) error {
	e := json.NewEncoder(s.out)
	e.SetEscapeHTML(false)
	if s.output == outputJSON {
		e.SetIndent("", "  ")
	}
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// writeList writes a list as one document, as a line for each item, or as a
// table.
func writeList[T any](s *session, items []T, table func([]T) [][]string) error {
	switch s.output {
	case outputText:
		writeTable(s.out, table(items))
		return nil
	case outputJSON:
		if items == nil {
			items = []T{} // an empty list, not null
		}
		return s.writeJSON(items)
	}
	for _, item := range items {
		if err := s.writeJSON(item); err != nil {
			return err
		}
	}
	return nil
}

// Limits of a text summary: a fleet may be large, and the rest is in crow
// status.
const (
	summaryFailures = 10
	summaryTail     = 5 // lines of a failed host's hook
)

// writeSummary tells how a deploy ended: hosts, time, and where the bytes came
// from.
func writeSummary(w io.Writer, st control.DeployStatus, now time.Time) {
	f := fleetOf(st)
	fmt.Fprintf(w, "%s %s: %s (deploy %s, %s)\n", f.ref, st.Phase, headline(f), st.Deploy, seconds(ranFor(st, now)))
	if moved := movement(f); moved != "" {
		fmt.Fprintln(w, moved)
	}
	if st.Reason != "" {
		fmt.Fprintln(w, clip(oneLine(st.Reason), maxErrorLine))
	}
	for _, line := range f.waits {
		fmt.Fprintln(w, line)
	}
	writeFailures(w, st)
}

func headline(f fleet) string {
	switch {
	case f.hosts > 0 && f.unchanged == f.hosts:
		return fmt.Sprintf("already active on %d of %d hosts: nothing moved", f.active(), f.hosts)
	case f.failed() > 0:
		return fmt.Sprintf("%s on %d of %d hosts, %d failed", f.goal(), f.reached(), f.hosts, f.failed())
	}
	return fmt.Sprintf("%s on %d of %d hosts", f.goal(), f.reached(), f.hosts)
}

// movement is the line on bytes; empty if none moved.
func movement(f fleet) string {
	if f.bytes.Received() == 0 {
		return ""
	}
	line := fmt.Sprintf("bytes: %s from peers (%d%%), %s from the seeder", release.Size(f.bytes.Peer), f.fromPeers(), release.Size(f.bytes.Seeder))
	if f.bytes.Origin > 0 {
		line += fmt.Sprintf(", %s from the origin", release.Size(f.bytes.Origin))
	}
	if f.bytes.Local > 0 {
		line += fmt.Sprintf(", %s were there already", release.Size(f.bytes.Local))
	}
	if f.bytes.Wasted > 0 {
		line += fmt.Sprintf(", %s received twice", release.Size(f.bytes.Wasted))
	}
	return line + fmt.Sprintf("; the seeder sent %.2f copies", copies(f))
}

// copies is how often the seeder sent the artifact, 1 being the least that a
// swarm can do with.
func copies(f fleet) float64 {
	if f.size == 0 {
		return 0
	}
	return float64(f.sent) / float64(f.size)
}

func ranFor(st control.DeployStatus, now time.Time) time.Duration {
	if st.Finished != nil {
		now = *st.Finished
	}
	return max(0, now.Sub(st.Started))
}

func writeFailures(w io.Writer, st control.DeployStatus) {
	failed := failedHosts(st)
	for i, h := range failed {
		if i == summaryFailures {
			fmt.Fprintf(w, "and %d hosts more: crow status %s\n", len(failed)-i, st.Deploy)
			return
		}
		fmt.Fprintf(w, "  %s failed: %s\n", oneLine(h.Name), clip(oneLine(reasonOf(h)), maxErrorLine))
		for _, line := range tailOf(h, summaryTail) {
			fmt.Fprintf(w, "    | %s\n", line)
		}
	}
}

// failedHosts are the hosts that make a deploy fail.
func failedHosts(st control.DeployStatus) []control.HostStatus {
	var failed []control.HostStatus
	for _, h := range st.Hosts {
		if h.Phase == release.Failed && !h.Late {
			failed = append(failed, h)
		}
	}
	return failed
}

// resultOf is the error that a deploy's status stands for once it has a result; nil
// if it succeeded or still goes on.
func resultOf(st control.DeployStatus) error {
	ref := release.Ref{App: st.App, Version: st.Version}
	f := &fault{hint: "crow status " + st.Deploy, text: fmt.Sprintf("deploy %s of %s %s", st.Deploy, ref, st.Phase)}
	switch {
	case st.Phase == release.DeployFailed:
		f.kind = deployFailed
	case isStopped(st):
		f.kind, f.hint = deployFailed, choices(st)
	case st.Phase == release.DeployAborted, st.Phase == release.DeploySuperseded:
		f.kind = deployEnded
	default:
		return nil
	}
	failed := failedHosts(st)
	if f.kind == deployFailed && len(failed) > 0 && allRefused(failed) {
		f.kind = refused
	}
	if f.kind != deployEnded && slices.ContainsFunc(failed, isOlder) {
		f.hint = fmt.Sprintf("crow rollback %s --to %s, or crow status %s", st.App, st.Version, st.Deploy)
	}
	if why := whyOf(st, failed); why != "" {
		f.text += ": " + why
	}
	return f
}

// whyOf is why a deploy has the result that it has, as far as there is room for it;
// may be empty.
func whyOf(st control.DeployStatus, failed []control.HostStatus) string {
	hosts := fleetOf(st)
	switch {
	case len(failed) == 0 && isStopped(st):
		return fmt.Sprintf("no host is failed now, %d of %d are yet to go live", hosts.hosts-hosts.active(), hosts.hosts)
	case len(failed) == 0:
		return st.Reason
	}
	text := fmt.Sprintf("%d of %d hosts failed: %s", len(failed), hosts.hosts, clip(failure(failed[0]), maxHookLine)) // what follows is to fit, too
	if len(failed) > 1 {
		text += fmt.Sprintf(", and %d more", len(failed)-1)
	}
	return text
}

// isOlder reports whether a host refused the release since it has accepted a newer one,
// which may never have gone live there.
func isOlder(h control.HostStatus) bool {
	return h.Refused && strings.Contains(h.Reason, release.ErrOlder.Error())
}

// allRefused reports whether every failure is a host's that does not trust the
// release: then nothing went wrong on the hosts.
func allRefused(failed []control.HostStatus) bool {
	return !slices.ContainsFunc(failed, func(h control.HostStatus) bool { return !h.Refused })
}
