package main

import (
	"fmt"
	"io"
	"time"

	"crow/internal/release"
)

// How often plain progress speaks: at most each plainSoon when something
// changed, and each plainLate although nothing did, so that a CI log shows
// life without flooding.
const (
	plainSoon = time.Second
	plainLate = 5 * time.Second
)

// plainAway is how many hosts that are not reachable a line names.
const plainAway = 3

// plain prints progress as lines.
type plain struct {
	w    io.Writer
	now  func() time.Time
	said time.Time // of the last line
	last [phases]int
}

// newPlain returns a printer that has its first word after a while, or with the
// first result.
func newPlain(w io.Writer, now func() time.Time) *plain {
	return &plain{w: w, now: now, said: now()}
}

func (p *plain) upload(verb string, done, total int64) {
	if now := p.now(); done == total || now.Sub(p.said) >= plainLate {
		p.said = now
		fmt.Fprintf(p.w, "%s: %s of %s, %d%%\n", verb, release.Size(done), release.Size(total), percent(done, total))
	}
}

func (p *plain) fleet(f fleet, rate float64, running time.Duration) {
	now := p.now()
	if !plainDue(now.Sub(p.said), f.in != p.last, f.reached()+f.failed() == f.hosts) {
		return
	}
	p.said, p.last = now, f.in
	line := fmt.Sprintf("%s: %s, %d%%", f.ref, f.counts(), 100*f.done()/barTotal)
	if traffic := f.traffic(rate); traffic != "" {
		line += ", " + traffic
	}
	line += ", " + seconds(running)
	for _, words := range f.waits {
		line += "; " + words
	}
	if len(f.away) > 0 {
		line += "; not reachable: " + someOf(f.away, plainAway)
	}
	fmt.Fprintln(p.w, line)
}

// plainDue reports whether a line is due, the last one being since old.
func plainDue(since time.Duration, changed, ended bool) bool {
	return changed && (ended || since >= plainSoon) || since >= plainLate
}

func (p *plain) note(line string)  { fmt.Fprintln(p.w, line) }
func (p *plain) alert(line string) { p.note(line) }
func (p *plain) close()            {}
