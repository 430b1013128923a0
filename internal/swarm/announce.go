package swarm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"go.uber.org/zap"
)

// Announce timing. A transfer that lacks neighbours asks again soon, whatever
// the tracker's interval: a swarm ramps up in seconds.
const (
	hungryInterval  = 1500 * time.Millisecond // incomplete, and few neighbours; doubled up to
	maxHungry       = 12 * time.Second
	retryInterval   = time.Second // after a failure, doubled up to
	maxRetry        = 15 * time.Second
	defaultInterval = 30 * time.Second // where the tracker says none
	announceTimeout = 5 * time.Second
	stoppedTimeout  = time.Second
)

// maxAnswerLen bounds a tracker's answer, in bytes: 30 neighbours take 540.
const maxAnswerLen = 64 << 10

// announceLoop keeps the trackers and this transfer informed of each other
// until the transfer ends.
func (t *transfer) announceLoop() {
	event, p := "started", newPace()
	wasComplete := t.complete()
	for {
		interval, err := t.announceAll(t.life, event)
		if err != nil {
			t.swarm.log.Debug("announce failed", zap.Stringer("infohash", t.meta.InfoHash), zap.Error(err))
		} else {
			event = ""
		}
		if !t.waitToAnnounce(p.next(interval, err != nil, t.complete(), t.neighbours())) {
			break
		}
		if complete := t.complete(); complete && !wasComplete {
			event, wasComplete = "completed", true
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), stoppedTimeout)
	defer cancel()
	_, _ = t.announceAll(ctx, "stopped") // the tracker's expiry does it otherwise
}

// pace decides when to announce next.
type pace struct {
	retry  time.Duration // after the next failure
	hungry time.Duration // at most this long while neighbours are few
}

func newPace() *pace { return &pace{retry: retryInterval, hungry: hungryInterval} }

// next returns how long to wait after an announce that failed, or that the
// tracker answered with an interval. A transfer that lacks neighbours asks soon,
// but ever less often: in a small swarm there are no more.
func (p *pace) next(interval time.Duration, failed, complete bool, neighbours int) time.Duration {
	if failed {
		interval, p.retry = p.retry, min(2*p.retry, maxRetry)
		return interval
	}
	p.retry = retryInterval
	if complete || neighbours >= enoughNeighbours {
		p.hungry = hungryInterval
		return interval
	}
	interval, p.hungry = min(interval, p.hungry), min(2*p.hungry, maxHungry)
	return interval
}

// waitToAnnounce reports false when the transfer ends first.
func (t *transfer) waitToAnnounce(wait time.Duration) bool {
	wait += time.Duration(rand.Int64N(int64(wait)/8 + 1)) // or all hosts ask at once for ever
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.poke:
	case <-t.life.Done():
		return false
	}
	return true
}

// announceNow has the loop announce without waiting.
func (t *transfer) announceNow() {
	select {
	case t.poke <- struct{}{}:
	default:
	}
}

// announceAll announces to every tracker, takes in the neighbours, and returns
// the shortest interval that one asks for; it fails if all do.
func (t *transfer) announceAll(ctx context.Context, event string) (time.Duration, error) {
	urls := t.swarm.announceURLs()
	if len(urls) == 0 {
		return 0, errors.New("no tracker is known yet")
	}
	var errs []error
	interval := time.Duration(0)
	for _, u := range urls {
		answer, err := t.announce(ctx, u, event)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.addNeighbours(answer.neighbours)
		if interval == 0 || answer.interval < interval {
			interval = answer.interval
		}
	}
	if len(errs) == len(urls) {
		return 0, errors.Join(errs...)
	}
	return interval, nil
}

type announceAnswer struct {
	interval   time.Duration
	neighbours []netip.AddrPort
}

// announce tells one tracker of this transfer (BEP 3, 23).
func (t *transfer) announce(ctx context.Context, announceURL, event string) (announceAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, announceURL+"?"+t.announceQuery(event).Encode(), nil)
	if err != nil {
		return announceAnswer{}, fmt.Errorf("announce to %s: %w", announceURL, err)
	}
	res, err := t.swarm.http.Do(req)
	if err != nil {
		return announceAnswer{}, fmt.Errorf("announce: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerLen))
	if err != nil {
		return announceAnswer{}, fmt.Errorf("announce to %s: %w", announceURL, err)
	}
	answer, err := parseAnnounce(b)
	if err != nil {
		return announceAnswer{}, fmt.Errorf("announce to %s: %w", announceURL, err)
	}
	return answer, nil
}

func (t *transfer) announceQuery(event string) url.Values {
	short, id := t.meta.InfoHash.Short(), t.swarm.client.PeerID()
	want := maxConns(t.swarm.cfg.Role)
	if t.complete() || event == "stopped" {
		want = 0
	}
	q := url.Values{
		"info_hash":  {string(short[:])},
		"peer_id":    {string(id[:])},
		"ip":         {t.swarm.addr.Addr().String()},
		"port":       {strconv.Itoa(int(t.swarm.addr.Port()))},
		"uploaded":   {strconv.FormatInt(t.counts.sent.Load(), 10)},
		"downloaded": {strconv.FormatInt(t.counts.fromPeer.Load()+t.counts.fromSeeder.Load(), 10)},
		"left":       {strconv.FormatInt(t.meta.Size-t.t.BytesCompleted(), 10)},
		"compact":    {"1"},
		"numwant":    {strconv.Itoa(want)},
	}
	if event != "" {
		q.Set("event", event)
	}
	return q
}

// parseAnnounce reads a tracker's answer with compact neighbours (BEP 23, 7).
func parseAnnounce(b []byte) (announceAnswer, error) {
	var body struct {
		Failure  string `bencode:"failure reason"`
		Interval int64  `bencode:"interval"`
		Peers    []byte `bencode:"peers"`
		Peers6   []byte `bencode:"peers6"`
	}
	if err := bencode.Unmarshal(b, &body); err != nil {
		return announceAnswer{}, fmt.Errorf("decode answer: %w", err)
	}
	if body.Failure != "" {
		return announceAnswer{}, fmt.Errorf("refused: %.200s", body.Failure)
	}
	answer := announceAnswer{interval: defaultInterval}
	if body.Interval > 0 && body.Interval < int64(24*time.Hour/time.Second) {
		answer.interval = time.Duration(body.Interval) * time.Second
	}
	answer.neighbours = appendCompact(answer.neighbours, body.Peers, 4)
	answer.neighbours = appendCompact(answer.neighbours, body.Peers6, 16)
	return answer, nil
}

// appendCompact reads addresses of ipLen bytes, each followed by a port.
func appendCompact(to []netip.AddrPort, b []byte, ipLen int) []netip.AddrPort {
	for ; len(b) >= ipLen+2; b = b[ipLen+2:] {
		if ip, ok := netip.AddrFromSlice(b[:ipLen]); ok {
			to = append(to, netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[ipLen:])))
		}
	}
	return to
}
