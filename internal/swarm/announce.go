package swarm

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// defaultInterval is for a tracker that names none.
const defaultInterval = 30 * time.Second

// maxAnswerLen bounds a tracker's answer, in bytes: 30 neighbours take 540.
const maxAnswerLen = 64 << 10

type announceAnswer struct {
	interval   time.Duration
	neighbours []netip.AddrPort
}

// announce tells one tracker of this transfer (BEP 3, 23).
func (t *transfer) announce(ctx context.Context, announceURL, event string) (announceAnswer, error) {
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
