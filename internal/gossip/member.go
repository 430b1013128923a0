package gossip

import (
	"fmt"
	"maps"
	"net/netip"

	"github.com/hashicorp/serf/serf"

	"crow/internal/release"
)

// State is what the fleet thinks of a member.
type State uint8

// The states. A member that is about to leave counts as Left.
const (
	Alive  State = iota
	Failed       // it fell silent
	Left         // it said goodbye
)

// String is the state's name in logs.
func (s State) String() string {
	names := [...]string{"alive", "failed", "left"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Member is one member as the fleet knows it. Its name and address have the
// right form and its tags are bounded; whether they are true is another matter.
type Member struct {
	Name  string
	Addr  netip.AddrPort // of its gossip
	State State
	Tags  map[string]string
}

// toMember checks what the network says about a member.
func toMember(m serf.Member) (Member, error) {
	if err := release.ValidateHost(m.Name); err != nil {
		return Member{}, err
	}
	ip, ok := netip.AddrFromSlice(m.Addr)
	ip = ip.Unmap() // before the checks, which know no mapped addresses
	if !ok || ip.IsUnspecified() || ip.IsMulticast() || m.Port == 0 {
		return Member{}, fmt.Errorf("address %v:%d of member %s is not usable", m.Addr, m.Port, m.Name)
	}
	if n := encodedLen(m.Tags); n > looseTagsLen {
		return Member{}, fmt.Errorf("tags of member %s: %d bytes are too many", m.Name, n)
	}
	return Member{
		Name: m.Name, Addr: netip.AddrPortFrom(ip, m.Port),
		State: toState(m.Status), Tags: maps.Clone(m.Tags),
	}, nil
}

func toState(s serf.MemberStatus) State {
	switch s {
	case serf.StatusAlive:
		return Alive
	case serf.StatusLeaving, serf.StatusLeft:
		return Left
	default:
		return Failed
	}
}
