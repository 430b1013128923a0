package gossip

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/memberlist"

	"crow/internal/release"
)

// The tags that members give themselves.
const (
	TagRole     = "role"  // RoleSeeder or RolePeer
	TagSwarm    = "swarm" // port of the peer wire, at the address of the gossip
	LabelPrefix = "l."    // before the name of each label
)

// The values of TagRole.
const (
	RoleSeeder = "seeder"
	RolePeer   = "peer"
)

// What msgpack adds, in bytes: at most 3 to each string, and the map's own
// head behind serf's magic byte.
const (
	stringHead = 3
	mapHead    = 1 + 3
)

// looseTagsLen is what the tags of another member may come to by encodedLen,
// which overstates short strings. serf has held the encoded ones to
// MetaMaxSize; 3 bytes at least are a tag, and 4 are overstated in it.
const looseTagsLen = 3 * memberlist.MetaMaxSize

// Tags makes the tags of a member.
func Tags(role string, swarmPort uint16, labels release.Labels) map[string]string {
	tags := map[string]string{TagRole: role, TagSwarm: strconv.Itoa(int(swarmPort))}
	for name, value := range labels {
		tags[LabelPrefix+name] = value
	}
	return tags
}

// Role is RoleSeeder, RolePeer, or what else the member says that it is.
func (m Member) Role() string { return m.Tags[TagRole] }

// SwarmAddr is where the member says that its peer wire is.
func (m Member) SwarmAddr() (netip.AddrPort, bool) {
	port, err := strconv.ParseUint(m.Tags[TagSwarm], 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(m.Addr.Addr(), uint16(port)), true
}

// fitTags keeps all tags that are no labels, and labels in the order of their
// names as long as there is room. It returns the names of the labels that it
// dropped, and an error if the other tags alone are too many.
func fitTags(tags map[string]string) (kept map[string]string, dropped []string, err error) {
	kept = map[string]string{}
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if strings.HasPrefix(key, LabelPrefix) {
			labels = append(labels, key)
		} else {
			kept[key] = tags[key]
		}
	}
	size := encodedLen(kept)
	if size > memberlist.MetaMaxSize {
		return nil, nil, fmt.Errorf("tags: %d bytes, at most %d are allowed", size, memberlist.MetaMaxSize)
	}
	for _, key := range labels {
		n := tagLen(key, tags[key])
		if size+n > memberlist.MetaMaxSize {
			dropped = append(dropped, strings.TrimPrefix(key, LabelPrefix))
			continue
		}
		kept[key] = tags[key]
		size += n
	}
	return kept, dropped, nil
}

// encodedLen is the most that the tags can take when serf encodes them, in
// bytes.
func encodedLen(tags map[string]string) int {
	n := mapHead
	for key, value := range tags {
		n += tagLen(key, value)
	}
	return n
}

func tagLen(key, value string) int { return 2*stringHead + len(key) + len(value) }
