package main

import (
	"fmt"
	"io"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// printer shows progress: as bars on a terminal, as plain lines elsewhere.
type printer interface {
	// upload shows how many of the artifact's bytes were sent or, where there
	// is nothing to send, compared.
	upload(verb string, done, total int64)
	fleet(f fleet, rate float64, running time.Duration)
	note(line string)
	// alert tells of trouble with following itself. It is no progress: whoever
	// waits has to know why nothing comes.
	alert(line string)
	close()
}

// newPrinter returns the printer that the settings ask for.
func (s *session) newPrinter() printer {
	switch s.progress {
	case progressTTY:
		return newBars(s.streams)
	case progressPlain:
		return newPlain(s.err, time.Now)
	}
	return silent{s.err}
}

// silent is the printer of --progress none, which silences progress alone.
type silent struct{ w io.Writer }

func (silent) upload(string, int64, int64)         {}
func (silent) fleet(fleet, float64, time.Duration) {}
func (silent) note(string)                         {}
func (s silent) alert(line string)                 { fmt.Fprintln(s.w, line) }
func (silent) close()                              {}

// watch turns a deploy's successive statuses into what printers show: the
// state of the fleet, and a line for each host that fails.
type watch struct {
	printer printer
	paint   func(code, text string) string
	began   time.Time
	meter   meter
	prev    control.DeployStatus
}

func (s *session) newWatch(p printer) *watch {
	return &watch{printer: p, paint: s.paint, began: time.Now()}
}

// show shows the next status and returns what changed.
func (w *watch) show(st control.DeployStatus, now time.Time) []change {
	changes := changesOf(w.prev, st, now)
	for _, c := range changes {
		if c.Host != nil && c.Host.Phase == release.Failed {
			w.printer.note(w.paint(red, failure(*c.Host)))
		}
	}
	if turn := turnOf(w.prev, st); turn != "" {
		w.printer.alert(turn) // it is why nothing comes
	}
	f := fleetOf(st)
	w.printer.fleet(f, w.meter.add(now, f.bytes.Received()), now.Sub(w.began))
	w.prev = st
	return changes
}
