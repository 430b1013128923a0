package rollout

import (
	"cmp"
	"fmt"
	"slices"

	"crow/internal/release"
)

// waitsFor words that hosts of the open wave have yet to end. One of an earlier wave
// may be among them: it counted as failed, and is back.
func (o *Outcome) waitsFor(p Program, open []Stand, earlier bool) string {
	hosts, which := p.WaveEnds[o.Wave-1]-p.begin(o.Wave), fmt.Sprintf("wave %d", o.Wave)
	if earlier {
		hosts, which = p.WaveEnds[o.Wave-1], fmt.Sprintf("waves 1 to %d", o.Wave)
	}
	return fmt.Sprintf("%d of %d hosts of %s of %d: %s%s", len(open), hosts, which, len(p.WaveEnds), slowest(open, anywhere), p.others())
}

// others words that hosts outside the count have places which those in it wait for.
func (p Program) others() string {
	if p.HostsAtOnce == 0 || p.Aside == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of %d places are taken by hosts outside the count", min(p.Aside, p.HostsAtOnce), p.HostsAtOnce)
}

// at is what a host is at, as a deploy that waits for it words that.
func (s Stand) at() string {
	if s.lingering() == 1 {
		return s.Phase.String() + ", may still be at an earlier deploy"
	}
	return s.Phase.String()
}

func fetches(s Stand) bool { return s.Shown().Phase < release.Staged }

func anywhere(Stand) bool { return true }

// maxNamed bounds the hosts that a text names.
const maxNamed = 3

// slowest names the hosts that have come least far.
func slowest(stands []Stand, which func(Stand) bool) string {
	var behind []Stand
	for _, s := range stands {
		if which(s) && !s.Shown().Phase.Ended() {
			behind = append(behind, s)
		}
	}
	slices.SortStableFunc(behind, func(a, b Stand) int {
		return cmp.Or(cmp.Compare(b.lingering(), a.lingering()), cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Bytes.Useful(), b.Bytes.Useful()))
	})
	text := ""
	for i, s := range behind {
		if i == maxNamed {
			return text + fmt.Sprintf(" and %d more", len(behind)-maxNamed)
		}
		if i > 0 {
			text += ", "
		}
		text += s.Name + " (" + s.at() + ")"
	}
	return text
}
