package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// deployView is a deploy for who looks at it.
type deployView struct {
	st       control.DeployStatus
	now      time.Time
	away     map[string]string // hosts that are not reachable, and since when
	allHosts bool              // list those too that need nothing more, however many
}

// write shows the deploy with each of its hosts.
func (v deployView) write(w io.Writer) {
	st := v.st
	writeSummary(w, st, v.now)
	fmt.Fprintln(w, timesOf(st, v.now))
	fmt.Fprintf(w, "artifact %s, sha256 %s\ntarget %s\n\n", release.Size(st.Artifact.Bytes), st.Artifact.SHA256, oneLine(st.Target.String()))
	shown, more := shownHosts(st, v.allHosts)
	if more > 0 {
		fmt.Fprintf(w, "%d hosts are %s: --all-hosts lists them\n", more, fleetOf(st).goal())
	}
	if len(shown) > 0 {
		writeTable(w, v.rows(shown))
	}
}

// timesOf is when a deploy began and ended; one that is asked for may be of last year.
func timesOf(st control.DeployStatus, now time.Time) string {
	line := "started " + st.Started.Local().Format(time.DateTime)
	if st.Finished == nil {
		return line
	}
	return fmt.Sprintf("%s, ended %s, %s", line, st.Finished.Local().Format(time.DateTime), ago(*st.Finished, now))
}

func (v deployView) rows(hosts []control.HostStatus) [][]string {
	rows := [][]string{{"HOST", "ZONE", "WAVE", "PHASE", "PEERS", "SEEDER", "LOCAL", "FETCH", "STAGE", "HOOK", "NOTE"}}
	for _, h := range hosts {
		b := h.AllBytes()
		rows = append(rows, []string{
			oneLine(h.Name), orDash(oneLine(h.Zone)), waveOf(h), h.Phase.String(), sizeOf(b.Peer), sizeOf(b.Seeder + b.Origin), sizeOf(b.Local),
			secondsOf(h.FetchSeconds), secondsOf(h.StageSeconds), hookOf(h), v.noteOn(h),
		})
	}
	if len(v.st.Waves) < 2 {
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 2, 3)
		}
	}
	return rows
}

func waveOf(h control.HostStatus) string {
	if h.Wave == 0 {
		return "-"
	}
	return strconv.Itoa(h.Wave)
}

func hookOf(h control.HostStatus) string {
	if h.Hook == nil {
		return "-"
	}
	return fmt.Sprintf("exit %d, %s", h.Hook.Exit, seconds(time.Duration(h.Hook.Seconds*float64(time.Second))))
}

// noteOn is what is worth knowing of a host beside its figures. The deploy's own
// word goes before what the fleet knows of a host that is away.
func (v deployView) noteOn(h control.HostStatus) string {
	note := clip(oneLine(h.Reason), maxNote)
	switch {
	case note != "":
	case v.away[h.Name] != "" && !h.Phase.Ended():
		note = v.away[h.Name]
	case h.CutOff != "":
		note = clip(oneLine(h.CutOff), maxNote)
	case h.Unchanged:
		note = "already active"
	default:
		note = v.progressOf(h)
	}
	switch {
	case !h.Late:
		return note
	case note == "":
		return lateness(h)
	}
	return note + " (" + lateness(h) + ")"
}

// lateness words that a late host is outside the deploy's count. One that has
// left the fleet has such a row too, and has not joined yet.
func lateness(h control.HostStatus) string {
	if h.Phase == release.Pending {
		return "not there when it began"
	}
	return "joined late"
}
