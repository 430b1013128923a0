package swarm

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

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
