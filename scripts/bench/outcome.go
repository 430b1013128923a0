package main

import "time"

// outcome is one run of one system. A failed one has a Failure and no figures.
type outcome struct {
	System  string    `json:"system"`
	Run     int       `json:"run"`
	Failure string    `json:"failure,omitempty"`
	T1      float64   `json:"t1_seconds"`   // of http1 in the same run
	Seconds []float64 `json:"host_seconds"` // by host, from the start of the run; a late host's from its own

	Copies     float64 `json:"copies_sent"`      // of the file, by the seeder's own books
	Twice      float64 `json:"fetched_twice"`    // share of the file, on average over hosts, by the systems' own books
	LinkCopies float64 `json:"link_copies_sent"` // of the file, by the counters of the seeder's link: all of its TCP payload
	LinkExcess float64 `json:"link_excess"`      // share of the file that hosts received beyond it, by their links: the protocol too

	CPU        float64 `json:"cpu_seconds"` // of all processes, from their start to their end
	Delivered  int64   `json:"delivered_bytes"`
	SeederPeak int64   `json:"seeder_peak_bytes"` // VmHWM
	WorstPeak  int64   `json:"peer_peak_bytes"`   // of the host that took most
}

func (o outcome) makespan() float64 { return maxOf(o.Seconds) }

// ratio is the makespan over what one host alone needed.
func (o outcome) ratio() float64 { return over(o.makespan(), o.T1) }

// medianRatio is the median host's time over what one host alone needed.
func (o outcome) medianRatio() float64 { return over(median(o.Seconds), o.T1) }

const (
	mib = 1 << 20
	gib = 1 << 30
)

func (o outcome) cpuPerGiB() float64 { return over(o.CPU*gib, float64(o.Delivered)) }

// weigh turns what a delivery moved into shares of the file.
func (o *outcome) weigh(d delivery, s *stage) {
	hosts := float64(len(d.seconds))
	file := float64(s.file.size) * float64(max(1, d.apps))
	o.Seconds, o.T1 = d.seconds, s.t1.Seconds()
	o.Delivered = int64(hosts * file)
	o.Copies = over(float64(d.sent), file)
	o.Twice = over(float64(d.wasted), hosts*file)
	var received float64
	for host := 1; host <= s.Hosts; host++ {
		received += float64(s.after[host].since(s.before[host]).received)
	}
	o.LinkCopies = over(float64(s.after[0].since(s.before[0]).sent), file)
	o.LinkExcess = over(received, hosts*file) - 1
}

// charge adds up what the processes used. They have to be stopped.
func (o *outcome) charge(all []*process) {
	var cpu time.Duration
	for _, p := range all {
		cpu += p.cpu()
		switch p.part {
		case partSeeder:
			o.SeederPeak = max(o.SeederPeak, p.peak)
		case partPeer:
			o.WorstPeak = max(o.WorstPeak, p.peak)
		}
	}
	o.CPU = cpu.Seconds()
}
