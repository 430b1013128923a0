package gossip

import (
	"log"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// How the fleet watches itself. Each member probes one other per interval. A
// dead one is probed within a second or two, is suspected a second later, and
// has failed if it does not answer the suspicion for suspicionMult seconds,
// times log10 of the fleet: about 7 s in all with 3 or 20 members, and by that
// rule 14 s with 1000. Wrong alarms cost little, as a member that is alive
// answers them.
const (
	probeInterval    = time.Second
	probeTimeout     = 500 * time.Millisecond
	suspicionMult    = 4
	suspicionMaxMult = 2
	// A member that misses its own deadlines slows its probes by up to this.
	// It also bounds how long a probe outlasts Run.
	awarenessMax = 3
)

// How news travels: each member passes it to gossipNodes others per interval,
// so 1000 members have it within about eight intervals. A tick without news
// costs some microseconds.
const (
	gossipInterval = 200 * time.Millisecond
	gossipNodes    = 3
	// A full exchange with one random member, which repairs what was lost.
	syncInterval = 30 * time.Second
)

// A leave takes at most 2 * leaveSend + leaveStay. The goodbye goes to three
// sets of members meanwhile; they pass it on.
const (
	leaveSend = 600 * time.Millisecond
	leaveStay = 300 * time.Millisecond
)

const (
	streamTimeout = 5 * time.Second // a whole exchange over TCP, with the largest fleet
	// A host that comes back under another address may have its name as soon
	// as the old address counts as failed.
	reclaimAfter = time.Millisecond
	// Events that a full exchange repeats. All are the same hint.
	eventBuffer = 64
)

func (g *Gossip) serfConfig(tags map[string]string) *serf.Config {
	logger := log.New(newLogWriter(g.log, g.leaving), "", 0)
	c := serf.DefaultConfig()
	c.NodeName = g.config.Name
	c.Tags = tags
	c.EventCh = g.raw
	c.EventBuffer = eventBuffer
	c.BroadcastTimeout = leaveSend
	c.LeavePropagateDelay = leaveStay
	c.DisableCoordinates = true
	c.EnableNameConflictResolution = false // see guard
	c.Merge = g.guard
	c.LogOutput, c.Logger = nil, logger
	c.MemberlistConfig = g.memberlistConfig(logger)
	return c
}

func (g *Gossip) memberlistConfig(logger *log.Logger) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Transport = g.wire
	c.BindPort = int(g.wire.advertise.Port())
	c.AdvertisePort = c.BindPort
	c.LogOutput, c.Logger = nil, logger
	c.Keyring = g.keys.ring
	c.ProbeInterval, c.ProbeTimeout = probeInterval, probeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = suspicionMult, suspicionMaxMult
	c.AwarenessMaxMultiplier = awarenessMax
	c.GossipInterval, c.GossipNodes = gossipInterval, gossipNodes
	c.PushPullInterval = syncInterval
	c.TCPTimeout = streamTimeout
	c.DeadNodeReclaimTime = reclaimAfter
	c.EnableCompression = false // it costs more than the few bytes that it saves
	return c
}
