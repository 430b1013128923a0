package peer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/release"
)

// maxTrackers bounds the announce URLs that a host takes from a seeder.
const maxTrackers = 16

// update is what the poller tells the agent's loop: a seeder that it has begun
// to talk to, or that seeder's new orders.
type update struct {
	client *control.Client // nil: the seeder is lost
	orders *control.Orders // nil: this is a new connection
	silent bool            // the disk did not take them in time
}

// poller keeps a long poll for orders open with one of the seeders, and tries
// them in turn while none answers.
type poller struct {
	host    string
	hello   control.Hello
	seeders seeders
	state   state
	timing  timing
	log     *zap.Logger
	updates chan<- update
	woken   chan struct{} // of capacity 1
	writing chan struct{} // of capacity 1; full while orders are written down
}

// wake has the poller ask now: orders may have changed, or a seeder may be
// there again.
func (p *poller) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// run polls until ctx ends.
func (p *poller) run(ctx context.Context) {
	pauses, failing := p.timing.backoff(), 0 // in a row; one line each for as many as there are seeders
	for turn := 0; ctx.Err() == nil; {
		c := p.seeders[turn%len(p.seeders)]
		served, err := p.serve(ctx, c)
		if ctx.Err() != nil {
			p.goodbye(ctx, c)
			return
		}
		if served {
			pauses.Reset()
			failing = 0
		}
		p.tell(ctx, update{})
		switch {
		case isCode(err, control.CodeUnknown):
			p.log.Info("seeder does not know this host yet and is told again", zap.String("seeder", c.URL()))
		case isCode(err, control.CodeTaken):
			p.log.Error("another live host has this host's name: give each host a name of its own in its config",
				zap.String("host", p.host), zap.String("seeder", c.URL()), zap.Error(err))
			// Not to be cut short: every deploy wakes the fleet, and changes nothing here.
			if pause(ctx, p.timing.taken) != nil {
				return
			}
			continue
		default:
			turn++
			if failing++; failing <= len(p.seeders) {
				p.log.Warn("no orders from seeder; it is tried again until it answers", zap.String("seeder", c.URL()), zap.Error(err))
			}
		}
		p.rest(ctx, pauses.NextBackOff())
	}
}

// rest pauses, or returns early when woken.
func (p *poller) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.woken:
	case <-ctx.Done():
	}
}

// serve says hello and polls one seeder until a call fails. It reports whether
// a poll was ever answered.
func (p *poller) serve(ctx context.Context, c *control.Client) (served bool, err error) {
	welcome, err := c.Hello(ctx, p.host, p.hello)
	if err != nil {
		return false, fmt.Errorf("say hello: %w", err)
	}
	p.log.Info("connected to seeder", zap.String("seeder", c.URL()), zap.String("epoch", welcome.Epoch))
	p.tell(ctx, update{client: c})
	epoch, revision := "", uint64(0)
	for {
		began := time.Now()
		o, err := p.poll(ctx, c, epoch, revision)
		if err != nil {
			return served, fmt.Errorf("poll orders: %w", err)
		}
		changed := !served || o.Epoch != epoch || o.Revision != revision
		served, epoch, revision = true, o.Epoch, o.Revision
		if changed {
			p.take(ctx, c, o)
		} else if time.Since(began) < p.timing.idle {
			p.rest(ctx, p.timing.idle) // a seeder that ends answers early
		}
	}
}

// errWoken cancels a poll that did not answer although orders have changed: the
// other end may be gone without a word.
var errWoken = errors.New("poll gave no answer after a wake-up")

// poll is one call for orders. After a wake-up it has a short while to answer.
func (p *poller) poll(ctx context.Context, c *control.Client, epoch string, after uint64) (control.Orders, error) {
	for {
		o, err := p.pollOnce(ctx, c, epoch, after)
		if !errors.Is(err, errWoken) {
			return o, err
		}
	}
}

func (p *poller) pollOnce(ctx context.Context, c *control.Client, epoch string, after uint64) (control.Orders, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type answer struct {
		orders control.Orders
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		o, err := c.Orders(ctx, p.host, epoch, after, p.timing.poll)
		answers <- answer{o, err}
	}()
	woken := p.woken
	var late <-chan time.Time
	for {
		select {
		case a := <-answers:
			if a.err != nil && errors.Is(context.Cause(ctx), errWoken) {
				a.err = errWoken
			}
			return a.orders, a.err
		case <-woken:
			woken, late = nil, time.After(p.timing.answer)
		case <-late:
			cancel(errWoken)
		}
	}
}

// take writes new orders down before anyone acts on them, so that a restarted
// agent goes on with them while no seeder answers.
func (p *poller) take(ctx context.Context, c *control.Client, o control.Orders) {
	o = sane(o, p.log)
	err := p.writeDown(o)
	if err != nil {
		p.log.Error("could not write down orders; they are followed for now", zap.Error(err))
	}
	p.tell(ctx, update{client: c, orders: &o, silent: errors.Is(err, errSilent)})
}

// writeDown waits for the disk, but not for one that is silent.
func (p *poller) writeDown(o control.Orders) error {
	select {
	case p.writing <- struct{}{}:
	default:
		return errSilent // or what is written last could be what came first
	}
	written := make(chan error, 1)
	go func() {
		last := p.state.orders()
		last.Epoch, last.Revision = o.Epoch, o.Revision
		var err error
		if !reflect.DeepEqual(last, o) {
			err = p.state.putOrders(o)
		}
		<-p.writing
		written <- err
	}()
	late := time.NewTimer(p.timing.silent)
	defer late.Stop()
	select {
	case err := <-written:
		return err
	case <-late.C:
		return errSilent
	}
}

// goodbyeTime is how long the agent's end may wait for the seeder.
const goodbyeTime = 2 * time.Second

// goodbye tells the seeder that this agent ends. Gossip says so too, but anybody
// there could.
func (p *poller) goodbye(ctx context.Context, c *control.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTime)
	defer cancel()
	if err := c.Goodbye(ctx, p.host, p.hello.Boot); err != nil {
		p.log.Debug("goodbye not heard", zap.String("seeder", c.URL()), zap.Error(err))
	}
}

func (p *poller) tell(ctx context.Context, u update) {
	select {
	case p.updates <- u:
	case <-ctx.Done():
	}
}

// sane drops from orders what no well-meaning seeder sends: names that are no
// names, second orders for an app, too much of anything. A manifest that is bad
// in other ways stays: its job fails with a reason.
func sane(o control.Orders, log *zap.Logger) control.Orders {
	keys, err := orderedKeys(o)
	if err != nil {
		log.Error("gossip keys are passed over", zap.Error(err))
	}
	// Written anew, since blanks beside keys could be of any length.
	good := control.Orders{Epoch: o.Epoch, Revision: o.Revision, Limits: saneLimits(o.Limits, log), GossipKeys: gossip.FormatKeys(keys)}
	seen := map[string]bool{}
	for _, order := range o.Orders {
		if err := checkOrder(order); err != nil || seen[order.Manifest.App] || len(seen) == control.MaxApps {
			log.Error("order is passed over: bad, doubled, or one too many", zap.String("deploy", shorten(order.Deploy, release.MaxAppLen)), zap.Error(err))
			continue
		}
		seen[order.Manifest.App] = true
		good.Orders = append(good.Orders, order)
	}
	for _, t := range o.Trackers {
		if u, err := url.Parse(t); err != nil || u.Host == "" || len(good.Trackers) == maxTrackers {
			log.Error("tracker is passed over: bad, or one too many", zap.Error(err))
			continue
		}
		good.Trackers = append(good.Trackers, t)
	}
	return good
}

// checkOrder checks what becomes a file's or a document's name on this host.
func checkOrder(o control.Order) error {
	if err := o.Manifest.Ref().Validate(); err != nil {
		return err
	}
	if err := release.ValidateApp(o.Deploy); err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	if o.Goal != control.GoalFetch && o.Goal != control.GoalActivate {
		return fmt.Errorf("unknown goal %.40q", string(o.Goal))
	}
	return checkSignatures(o)
}
