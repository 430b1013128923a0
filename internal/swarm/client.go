package swarm

import (
	"crypto/rand"
	"crypto/sha256"
	"log/slog"
	"net/netip"

	"github.com/anacrolix/torrent"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"
)

// Sizes of requests, in bytes. Larger requests cost less CPU and keep slow
// starters in the race (DESIGN.md); other clients refuse them.
const (
	requestSize         = 128 << 10
	requestSizeStandard = 16 << 10
)

// Neighbours that a node has at most, of all its transfers and of one: enough that
// pieces find short ways, few enough that their Have messages cost little; fewer
// for the seeder, whose link is shared by those that it talks to. Handshakes under
// way are bounded apart: greeting.go, maxKnocks.
const (
	maxPeerConns         = 30
	maxPeerTransferConns = 20
	maxSeederConns       = 16
)

// maxRequestBuffer is how much of what one neighbour has asked for is read
// ahead of the socket, in bytes.
const maxRequestBuffer = 1 << 20

// Peer IDs (BEP 20) begin with these, by role. crow's own statistics read them;
// nothing is trusted because of them.
const (
	seederPrefix = "-CRS01-"
	peerPrefix   = "-CRP01-"
)

// newPeerID names a node: its role, a hash of its address, by which neighbours
// see that they are connected already, and a random rest, new with each start.
func newPeerID(role Role, addr netip.AddrPort) string {
	prefix := peerPrefix
	if role == RoleSeeder {
		prefix = seederPrefix
	}
	var random [20]byte
	rand.Read(random[:]) // never fails, since Go 1.24
	id := append([]byte(prefix), addressKey(addr)...)
	return string(append(id, random[:20-len(id)]...))
}

// addressKeyLen is the length of an address's hash in a peer ID, in bytes.
const addressKeyLen = 8

func addressKey(addr netip.AddrPort) string {
	sum := sha256.Sum256([]byte(addr.String()))
	return string(sum[:addressKeyLen])
}

func newClient(cfg Config, addr netip.AddrPort, delivered func(torrent.ReceivedUsefulDataEvent)) (*torrent.Client, *graces, error) {
	c := torrent.NewDefaultClientConfig()
	c.PeerID = newPeerID(cfg.Role, addr)
	c.Bep20 = c.PeerID[:len(peerPrefix)]
	c.ExtendedHandshakeClientVersion = "crow"
	c.Slogger = slog.New(zapslog.NewHandler(cfg.Log.WithOptions(zap.IncreaseLevel(zapcore.WarnLevel)).Core()))

	// The listener and the dialer are crow's own: see listen.go.
	c.DisableTCP, c.DisableUTP = true, true
	c.DialForPeerConns = false
	// Who is in the swarm is said by crow's trackers alone.
	c.NoDHT, c.DisablePEX, c.DisableTrackers = true, true, true
	c.NoDefaultPortForwarding, c.DisableWebtorrent, c.DisableWebseeds = true, true, true
	// Obfuscated headers cost CPU and authenticate nobody.
	c.HeaderObfuscationPolicy = torrent.HeaderObfuscationPolicy{Preferred: false, RequirePreferred: true}

	c.DefaultStorage = noStorage{} // each transfer brings its own; the default opens a database
	c.Seed = true                  // without it, uploads stop at 100 KiB more than was downloaded
	c.DropDuplicatePeerIds = true
	c.DialRateLimiter = rate.NewLimiter(rate.Inf, 1)
	// Who has a place is decided in room.go. The client learns a while later that a
	// connection has ended, and must not refuse the next one until then.
	c.EstablishedConnsPerTorrent = 2 * maxPeerConns
	c.HalfOpenConnsPerTorrent = maxPeerTransferConns
	graces := measureGrace(c)
	c.Callbacks.ReceivedUsefulData = append(c.Callbacks.ReceivedUsefulData, delivered)
	// The limit counts pieces in order, rarest first, and so ends before it has come
	// to the few that a super-seeding seeder shows: a large artifact would stand still.
	c.MaxUnverifiedBytes = 0
	c.MaxAllocPeerRequestDataPerConn = maxRequestBuffer
	client, err := torrent.NewClient(c)
	return client, graces, err
}

// maxConns is how many neighbours one transfer has at most.
func maxConns(role Role) int {
	if role == RoleSeeder {
		return maxSeederConns
	}
	return maxPeerTransferConns
}
