// Package gossip lets the members of a fleet find each other, see each other
// fail, and tell each other that orders have changed. It is the only package
// that knows serf.
//
// It carries hints and no truth. Whoever has the fleet's key, or reaches a
// fleet without one, can say anything here: names, addresses and tags are
// checked for their form, bounded, and otherwise not to be believed; an event
// says no more than "ask the seeder". What it says can also be lost, so whoever
// listens polls as well. Keys come from the config and SetKeys alone: serf's
// own queries for them are refused, see keepKeysFrom, as are all others, see sieve.
//
// Two members with one name do not end each other, as serf by default has it:
// see guard. serf's snapshots are off, since the Join addresses find the fleet
// again.
package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"
	"go.uber.org/zap"

	"crow/internal/release"
)

// Config says who this member is and whom it joins.
type Config struct {
	Name      string            // unique in the fleet, as release.ValidateHost has it
	Listen    string            // host:port, TCP and UDP; port 0 takes a free one
	Advertise string            // IP that the others reach this member at; empty: Listen's
	Join      []string          // host:port of members to join by; empty: wait to be joined
	Tags      map[string]string // see Tags; those with LabelPrefix are dropped if there is no room
	Keys      [][]byte          // at most 4, of 16, 24 or 32 bytes; see SetKeys; none: all is in the clear
	Log       *zap.Logger
}

// maxJoin bounds the addresses to join by; each is tried in turn.
const maxJoin = 64

// ErrEnded is the answer of Wake once Run has returned.
var ErrEnded = errors.New("gossip has ended")

// Gossip is one member of a fleet.
type Gossip struct {
	config  Config
	wire    *wire
	serf    *serf.Serf
	keys    *keyring
	guard   *guard
	log     *zap.Logger
	raw     chan serf.Event // from serf; see rawEvents
	events  chan Event
	wake    chan struct{} // holds one wake-up that is to be sent
	started atomic.Bool
	ended   chan struct{}
	leaving *atomic.Bool // hushes serf, which complains of all that ends
}

// New checks the config, binds TCP and UDP and begins to answer other members.
// It joins nobody: Run does, and must be called soon, or Close if it never is.
func New(c Config) (*Gossip, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	tags, dropped, err := fitTags(c.Tags)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if len(dropped) > 0 {
		c.Log.Warn("labels left out of gossip: there is no room for them", zap.Strings("labels", dropped))
	}
	keys, err := newKeyring(c.Keys)
	if err != nil {
		return nil, fmt.Errorf("gossip: keys: %w", err)
	}
	w, err := newWire(c)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	w.ring = keys.ring
	g := &Gossip{
		config: c, wire: w, keys: keys, log: c.Log, leaving: new(atomic.Bool),
		guard: newGuard(c.Name, w.advertise, c.Log),
		raw:   make(chan serf.Event, rawEvents), events: make(chan Event, maxEvents),
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if err := g.create(tags); err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), w.Shutdown())
	}
	return g, nil
}

// create makes what lies between serf and the network ready before anything
// comes in.
func (g *Gossip) create(tags map[string]string) (err error) {
	c := g.serfConfig(tags)
	// memberlist asks for its address once it has been given serf's delegate, and before
	// it begins anything that uses that.
	g.wire.starting = sync.OnceFunc(func() {
		c.MemberlistConfig.Delegate = newSieve(c.MemberlistConfig.Delegate, g.log)
	})
	if g.serf, err = serf.Create(c); err != nil {
		return err
	}
	keepKeysFrom(c)
	g.guard.watch(g.serf)
	g.wire.serve()
	return nil
}

func (c Config) validate() error {
	if err := release.ValidateHost(c.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if err := validateKeys(c.Keys); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if err := ValidateJoin(c.Join); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	return nil
}

// ValidateJoin checks addresses to join by. The error is release.ErrInvalid.
func ValidateJoin(addrs []string) error {
	if len(addrs) > maxJoin {
		return fmt.Errorf("%w list: %d addresses, at most %d are allowed", release.ErrInvalid, len(addrs), maxJoin)
	}
	for _, addr := range addrs {
		host, port, err := net.SplitHostPort(addr)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || host == "" || n == 0 {
			return fmt.Errorf("%w address %q: want host:port, with a port from 1 to 65535", release.ErrInvalid, addr)
		}
	}
	return nil
}

// Addr is where the other members reach this one: the advertised address and
// the port that was bound.
func (g *Gossip) Addr() netip.AddrPort { return g.wire.advertise }

// Members returns all members that are known, this one included, sorted by
// name. Those that have failed or left are forgotten after a day.
func (g *Gossip) Members() []Member {
	var members []Member
	for _, m := range g.serf.Members() {
		if member, err := toMember(m); err == nil {
			members = append(members, member)
		}
	}
	slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return members
}

// Events gives what happens in the fleet, this member's own wake-ups included.
// It is for one reader. If that is slow the oldest events are dropped. The
// channel is closed when Run returns.
func (g *Gossip) Events() <-chan Event { return g.events }

// Wake tells all members that orders have changed. Calls that come in quick
// succession become one event. The error is ErrEnded after Run has returned.
func (g *Gossip) Wake() error {
	select {
	case <-g.ended:
		return ErrEnded
	default:
	}
	select {
	case g.wake <- struct{}{}:
	default: // one is waiting to be sent already, and will do
	}
	return nil
}

// Run joins the fleet, and again whenever it has lost it, until ctx ends; then
// it leaves, which takes at most two seconds. It returns an error only if serf
// ended by itself. A probe of a member that does not answer may outlast Run by
// a few seconds; it touches nothing any more.
func (g *Gossip) Run(ctx context.Context) error {
	if g.started.Swap(true) {
		return errors.New("gossip: was run before")
	}
	defer close(g.ended)
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	var workers, reader sync.WaitGroup
	stopReading := make(chan struct{})
	reader.Go(func() { g.readEvents(stopReading) })
	workers.Go(func() { g.keepJoined(work) })
	workers.Go(func() { g.sendWakes(work) })

	var err error
	select {
	case <-ctx.Done():
		g.leave()
	case <-g.serf.ShutdownCh():
		err = errors.New("gossip: serf ended by itself")
	}
	cancel()
	err = errors.Join(err, g.shutdown())
	workers.Wait()
	close(stopReading) // last: until here serf must never wait for a reader
	reader.Wait()
	return err
}

// Close gives up a Gossip that was never run. After Run it does nothing.
func (g *Gossip) Close() error {
	if g.started.Swap(true) {
		return nil
	}
	defer close(g.ended)
	defer close(g.events)
	return g.shutdown()
}

// leave says goodbye, so that the others see a member that left and not one
// that failed. While another member has the same name it keeps quiet, since
// the goodbye would be taken for the other's.
func (g *Gossip) leave() {
	g.leaving.Store(true)
	if g.guard.inConflict(time.Now()) || g.others() == 0 {
		return
	}
	if err := g.serf.Leave(); err != nil {
		g.log.Warn("could not leave the fleet", zap.Error(err))
	}
}

func (g *Gossip) shutdown() error {
	g.leaving.Store(true)
	if err := g.serf.Shutdown(); err != nil {
		return fmt.Errorf("gossip: shut down: %w", err)
	}
	return nil
}

// sendWakes sends the first wake-up at once and holds back those that follow
// closely.
func (g *Gossip) sendWakes(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wake:
		}
		if err := g.serf.UserEvent(wakeEvent, nil, true); err != nil {
			g.log.Warn("could not wake the fleet", zap.Error(err))
		}
		if !sleep(ctx, wakeGap) {
			return
		}
	}
}

// others counts the other members that are alive.
func (g *Gossip) others() int {
	n := 0
	for _, m := range g.serf.Members() {
		if m.Status == serf.StatusAlive && m.Name != g.config.Name {
			n++
		}
	}
	return n
}

// sleep waits for d and reports false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
