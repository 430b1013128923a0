package swarm

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	type event struct {
		interval         time.Duration
		failed, complete bool
		neighbours       int
		want             time.Duration
	}
	const long = time.Minute
	for name, events := range map[string][]event{
		"failures are retried ever less often": {
			{failed: true, want: time.Second}, {failed: true, want: 2 * time.Second}, {failed: true, want: 4 * time.Second},
			{failed: true, want: 8 * time.Second}, {failed: true, want: maxRetry}, {failed: true, want: maxRetry},
			{interval: long, neighbours: 20, want: long}, {failed: true, want: time.Second},
		},
		"a hungry transfer asks soon, then less": {
			{interval: long, want: hungryInterval}, {interval: long, want: 2 * hungryInterval}, {interval: long, want: 4 * hungryInterval},
			{interval: long, want: maxHungry}, {interval: long, want: maxHungry},
			{interval: long, neighbours: enoughNeighbours, want: long}, {interval: long, neighbours: 1, want: hungryInterval},
		},
		"a short interval stands":        {{interval: time.Second, want: time.Second}},
		"a complete one is never hungry": {{interval: long, complete: true, want: long}},
	} {
		p := newPace()
		for i, e := range events {
			if got := p.next(e.interval, e.failed, e.complete, e.neighbours); got != e.want {
				t.Errorf("%s: step %d: %s, want %s", name, i, got, e.want)
			}
		}
	}
}

func TestParseAnnounce(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("10.1.2.3:7401"), netip.MustParseAddrPort("[fd00::1]:80")
	for name, c := range map[string]struct {
		answer string
		want   announceAnswer
		fails  bool
	}{
		"compact": {
			answer: "d8:intervali5e5:peers6:\x0a\x01\x02\x03\x1c\xe96:peers618:\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50e",
			want:   announceAnswer{interval: 5 * time.Second, neighbours: []netip.AddrPort{v4, v6}},
		},
		"no interval":         {answer: "d5:peers0:e", want: announceAnswer{interval: defaultInterval}},
		"absurd interval":     {answer: "d8:intervali99999999999999e5:peers0:e", want: announceAnswer{interval: defaultInterval}},
		"negative interval":   {answer: "d8:intervali-1e5:peers0:e", want: announceAnswer{interval: defaultInterval}},
		"torn neighbour":      {answer: "d8:intervali5e5:peers8:\x0a\x01\x02\x03\x1c\xe9\x0a\x01e", want: announceAnswer{interval: 5 * time.Second, neighbours: []netip.AddrPort{v4}}},
		"refused":             {answer: "d14:failure reason7:unknowne", fails: true},
		"not bencoded":        {answer: "<html>", fails: true},
		"nothing":             {answer: "", fails: true},
		"peers as dictionary": {answer: "d5:peersd1:a1:bee", fails: true},
	} {
		got, err := parseAnnounce([]byte(c.answer))
		if (err != nil) != c.fails || !c.fails && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

func FuzzParseAnnounce(f *testing.F) {
	f.Add([]byte("d8:intervali5e5:peers6:\x0a\x01\x02\x03\x1c\xe9e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, err := parseAnnounce(b)
		if err == nil && (answer.interval <= 0 || len(answer.neighbours) > len(b)/6) {
			t.Errorf("%+v of %d bytes", answer, len(b))
		}
	})
}
