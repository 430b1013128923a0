package main

import (
	"context"
	"slices"
	"time"
)

// Names of what is measured. Trials are runs of crow that differ in one thing
// and are compared with its plain run of the same round.
const (
	nameHTTP1      = "http1"
	nameHTTP       = "http"
	nameAria2      = "aria2"
	nameLibtorrent = "libtorrent"
	nameCrow       = "crow"
	nameCrowTLS    = "crow-tls"

	nameUneven = "crow --uneven"
	nameLate   = "crow --join-late"
	nameApps   = "crow --apps"
	nameScale  = "crow --scale"
)

// system brings the stage's file to hosts and tells how that went.
type system func(ctx context.Context, s *stage) (delivery, error)

// systemNames are all systems but the trials, in the order of the table.
func systemNames() []string {
	return []string{nameHTTP1, nameHTTP, nameAria2, nameLibtorrent, nameCrow, nameCrowTLS}
}

func systemOf(name string, apps int) system {
	switch name {
	case nameHTTP1:
		return runHTTP1
	case nameHTTP:
		return runHTTPAll
	case nameAria2:
		return runAria2
	case nameLibtorrent:
		return runLibtorrent
	}
	return variantOf(name, apps).run
}

// variantOf is what a system that is crow, or a trial, differs in.
func variantOf(name string, apps int) variant {
	v := variant{tls: name == nameCrowTLS, slow: name == nameUneven, late: name == nameLate, apps: 1}
	if name == nameApps {
		v.apps = apps
	}
	return v
}

func isTrial(name string) bool { return !slices.Contains(systemNames(), name) }

// limitOf is when a run counts as stalled: ten times what it should take, and a
// minute for starting and stopping. Without a yardstick it goes by the links, or
// by a slow disk.
func limitOf(name string, s scenario, t1 time.Duration, apps int) time.Duration {
	if t1 == 0 {
		const slowDisk = 20 << 20 // bytes a second
		t1 = max(s.ideal(), time.Duration(float64(s.Size)/slowDisk*float64(time.Second)))
	}
	times := 10
	switch name {
	case nameHTTP:
		times += 2 * s.Hosts // the server's link carries a copy for each
	case nameUneven:
		times *= 10 // what the slow host needs even alone
	case nameApps:
		times *= apps
	}
	return time.Minute + time.Duration(times)*t1
}

// delivery is how a file came to its hosts.
type delivery struct {
	seconds  []float64 // by host, from the start to its mark
	sent     int64     // bytes that the seeder sent, by its own books
	wasted   int64     // bytes that hosts received beyond the file, by their own books
	apps     int       // files that each host got; 0: one
	expected []placement
}

// placement is where an artifact should have arrived.
type placement struct {
	file artifact
	path string
}

func (d *delivery) expect(file artifact, path string) {
	d.expected = append(d.expected, placement{file, path})
}

// check makes sure that everything arrived whole.
func (d *delivery) check(ctx context.Context) error {
	for _, p := range d.expected {
		if err := p.file.check(p.path); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
