package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"crow/internal/control"
	"crow/internal/release"
)

// writePlan tells what a deploy would do: to each host, and in sum.
func writePlan(w io.Writer, plan control.DeployPlan) {
	fmt.Fprintf(w, "%s to %s: dry run, nothing is changed\n", planned(plan), oneLine(plan.Target.String()))
	fmt.Fprintf(w, "artifact %s, sha256 %s\n", release.Size(plan.Artifact.Bytes), plan.Artifact.SHA256)
	fmt.Fprintf(w, "rollout: %s\n\n", rolloutWords(plan.Rollout, len(plan.Hosts)))
	writeTable(w, planRows(plan))
	fmt.Fprintf(w, "\n%s\n", planTotals(plan))
	for _, line := range planConsequences(plan) {
		fmt.Fprintln(w, line)
	}
}

func planned(plan control.DeployPlan) release.Ref {
	return release.Ref{App: oneLine(plan.App), Version: oneLine(plan.Version)}
}

func planRows(plan control.DeployPlan) [][]string {
	rows := [][]string{{"HOST", "ZONE", "WAVE", "STATE", "RUNNING", "MOVES", "NEEDS", "FREE", "NOTE"}}
	for _, h := range plan.Hosts {
		wave, free := "-", "-"
		if h.Wave > 0 {
			wave = strconv.Itoa(h.Wave)
		}
		if h.Free != nil {
			free = release.Size(*h.Free).String()
		}
		rows = append(rows, []string{
			oneLine(h.Name), orDash(oneLine(h.Zone)), wave, string(h.State), orDash(oneLine(h.Running)),
			sizeOf(h.Bytes), sizeOf(h.Disk + h.Unpacks), free, planNote(h, plan.Version),
		})
	}
	return rows
}

// planNote is what would become of a host beside being brought to the release.
func planNote(h control.PlannedHost, version string) string {
	switch {
	case h.Refuses != "":
		return "would refuse: " + clip(oneLine(h.Refuses), maxNote)
	case h.Running == version:
		return "runs it already"
	case h.Free != nil && *h.Free < h.Disk+h.Unpacks:
		in := release.Apart(h.Disk+h.Unpacks, *h.Free)
		return fmt.Sprintf("would refuse if it unpacks: %s free, %s needed", in(*h.Free), in(h.Disk+h.Unpacks))
	}
	return ""
}

func planTotals(plan control.DeployPlan) string {
	var refuse, same int
	for _, h := range plan.Hosts {
		switch {
		case h.Refuses != "":
			refuse++
		case h.Running == plan.Version:
			same++
		}
	}
	line := fmt.Sprintf("%s, %s to move", counted(len(plan.Hosts), "host"), release.Size(plan.Bytes))
	if len(plan.Waves) > 1 {
		line = fmt.Sprintf("%s in %d waves of %s, %s to move", counted(len(plan.Hosts), "host"), len(plan.Waves), numbers(plan.Waves), release.Size(plan.Bytes))
	}
	if same > 0 {
		line += fmt.Sprintf("; %d run it already", same)
	}
	if refuse > 0 {
		line += fmt.Sprintf("; %d would refuse", refuse)
	}
	if !plan.Changes {
		line += "; nothing would change"
	}
	return line
}

// planConsequences are what a deploy would do beside bringing hosts to a release.
func planConsequences(plan control.DeployPlan) (lines []string) {
	if plan.Same != "" {
		lines = append(lines, fmt.Sprintf("deploy %s does the same already: no other would begin", oneLine(plan.Same)))
	}
	if plan.Running != "" && plan.Running != plan.Same {
		lines = append(lines, fmt.Sprintf("it would supersede deploy %s", oneLine(plan.Running)))
	}
	if p := plan.Previous; p != nil && plan.Rollout.OnFailure == release.OnFailureRollback {
		lines = append(lines, fmt.Sprintf("after too many failures hosts would go back to %s", oneLine(p.Ref().String())))
	}
	return lines
}

// rolloutWords tells how a deploy to n hosts goes live.
func rolloutWords(r release.Rollout, n int) string {
	var words []string
	switch {
	case r.FetchOnly:
		words = append(words, "fetch only")
	case len(r.Waves) == 0:
		words = append(words, "all at once, as each has fetched")
	default:
		wave := "waves " + shares(r.Waves)
		if r.WavePause > 0 {
			wave += fmt.Sprintf(" with %s between", r.WavePause)
		}
		words = append(words, wave)
	}
	if r.HostsAtOnce > 0 {
		words = append(words, fmt.Sprintf("%d at once", r.HostsAtOnce))
	}
	allowed, stops := r.Stops(n)
	switch {
	case !stops:
		return strings.Join(append(words, "failures do not stop it"), ", ")
	case r.OnFailure == release.OnFailureRollback:
		return strings.Join(append(words, fmt.Sprintf("goes back after more than %s", counted(allowed, "failure"))), ", ")
	}
	return strings.Join(append(words, fmt.Sprintf("pauses after more than %s", counted(allowed, "failure"))), ", ")
}

func shares(all []release.Share) string {
	var words []string
	for _, s := range all {
		words = append(words, s.String())
	}
	return strings.Join(words, ",")
}

// counted is a number of things, such as 1 host or 2 hosts.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// numbersShown is how many numbers a line has room for.
const numbersShown = 10

func numbers(all []int) string {
	var words []string
	for _, n := range all {
		words = append(words, strconv.Itoa(n))
	}
	return someOf(words, numbersShown)
}
