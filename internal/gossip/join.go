package gossip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
)

const (
	// refreshEvery is how often a member looks whether it must join again, and
	// how often, on average, one of the whole fleet joins again to no need: so
	// a seeder that was restarted before anybody noticed, and that knows
	// nobody, has its fleet back within seconds.
	refreshEvery = 3 * time.Second
	// A lost fleet is tried at once, then ever more seldom.
	firstRetry = 250 * time.Millisecond
	maxRetry   = 5 * time.Second
	// rejoinGap applies where a Join address works but belongs to no member,
	// as one that is translated on the way does.
	rejoinGap     = 30 * time.Second
	lookupTimeout = 3 * time.Second
)

// standing is what the decision to join rests on.
type standing struct {
	others    int           // other members that are alive
	seedAlive bool          // one of them has a Join address
	conflict  bool          // another member has this one's name
	sinceJoin time.Duration // since a join succeeded
}

// joinDue decides whether to join now. dice is random in [0, 1).
func joinDue(s standing, dice float64) bool {
	switch {
	case s.others == 0, s.conflict:
		return true
	case !s.seedAlive:
		return s.sinceJoin >= rejoinGap
	default:
		return dice < 1/float64(s.others)
	}
}

// keepJoined joins by the Join addresses whenever that is due.
func (g *Gossip) keepJoined(ctx context.Context) {
	if len(g.config.Join) == 0 {
		return
	}
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = firstRetry, maxRetry
	log := sampled(g.log)
	seeds := g.resolve(ctx)
	joined := time.Now().Add(-rejoinGap)
	for {
		wait := refreshEvery
		if s := g.standing(seeds, time.Since(joined)); joinDue(s, rand.Float64()) {
			seeds = g.resolve(ctx)
			if err := g.join(seeds, s.others == 0); err == nil {
				joined = time.Now()
				retry.Reset()
			} else if ctx.Err() == nil {
				log.Warn("could not join the fleet, will try again", zap.Strings("join", g.config.Join), zap.Error(err))
				wait = retry.NextBackOff()
			}
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

func (g *Gossip) standing(seeds []netip.AddrPort, sinceJoin time.Duration) standing {
	s := standing{conflict: g.guard.inConflict(time.Now()), sinceJoin: sinceJoin}
	for _, m := range g.Members() {
		if m.State != Alive || m.Name == g.config.Name {
			continue
		}
		s.others++
		s.seedAlive = s.seedAlive || slices.Contains(seeds, m.Addr)
	}
	return s
}

// join exchanges lists with every seed that answers. It fails if none does.
// fresh skips the events of before: a member that has just come asks the
// seeder anyway.
func (g *Gossip) join(seeds []netip.AddrPort, fresh bool) error {
	if len(seeds) == 0 {
		return fmt.Errorf("no address to join by")
	}
	addrs := make([]string, len(seeds))
	for i, a := range seeds {
		addrs[i] = a.String()
	}
	_, err := g.serf.Join(addrs, fresh)
	return err // it names the addresses
}

// resolve turns the Join addresses into IPs, without this member's own. Names
// that cannot be resolved are left out: they may be by the next time.
func (g *Gossip) resolve(ctx context.Context) []netip.AddrPort {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var seeds []netip.AddrPort
	for _, addr := range g.config.Join {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			continue // New has refused it
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			continue
		}
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			g.log.Debug("could not resolve a join address", zap.String("addr", addr), zap.Error(err))
		}
		for _, ip := range ips {
			seed := netip.AddrPortFrom(ip.Unmap(), uint16(number))
			if seed != g.wire.advertise && !slices.Contains(seeds, seed) {
				seeds = append(seeds, seed)
			}
		}
	}
	return seeds
}
