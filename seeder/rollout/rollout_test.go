package rollout

import (
	"fmt"
	"strings"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// sinceT0 is since when hosts could be heard.
var sinceT0 = t0.Add(-24 * time.Hour)

func testProgram(hosts int, r release.Rollout) Program {
	p := Program{Rollout: r, WaveEnds: r.Ends(hosts), Grace: time.Minute, Knock: 5 * time.Second, Limit: time.Hour}
	for i := range hosts {
		p.Turns = append(p.Turns, i)
	}
	return p
}

// standing is a host that was heard so long after t0.
func standing(name string, p release.Phase, reason string, heard time.Duration) Stand {
	return Stand{Row: Row{HostStatus: control.HostStatus{Name: name, Phase: p, Reason: reason}}, Heard: t0.Add(heard)}
}

// let is a host that was told to go live so long after t0.
func let(s Stand, when time.Duration) Stand {
	s.Let = t0.Add(when)
	return s
}

func gone(s Stand) Stand {
	s.Gone = true
	return s
}

// lineup is one host for each letter: p, f, v, s, g, a, x are its phase from pending
// to failed. A capital one is live.
func lineup(letters string) []Stand {
	var stands []Stand
	for i, l := range letters {
		p := strings.IndexRune("pfvsgax", l|0x20)
		s := standing(fmt.Sprintf("h%d", i), release.Phase(p), "", 0)
		s.Live = l < 'a' || l == 'a' || l == 'g'
		s.Begun = s.Live
		if s.Phase == release.Failed {
			s.Reason = "why"
		}
		s.Let = t0
		stands = append(stands, s)
	}
	return stands
}

func letters(may []bool) string {
	text := ""
	for _, m := range may {
		text += map[bool]string{true: "1", false: "0"}[m]
	}
	return text
}

func share(text string) *release.Share {
	s, err := release.ParseShare(text)
	if err != nil {
		panic(err)
	}
	return &s
}

var halves = []release.Share{release.Percent(50), release.Percent(100)}
