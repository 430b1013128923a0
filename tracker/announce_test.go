package tracker

import (
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

const (
	testHash = "\x00\xff& %=+#aaaaaaaaaaaa"
	testID   = "-CR0001-\x01\x02\x03\x04bbbbbbbb"
)

// query builds an announce of the fewest values, changed by key, value pairs.
func query(pairs ...string) string {
	q := url.Values{"info_hash": {testHash}, "peer_id": {testID}, "port": {"7401"}, "left": {"10"}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

func addrs(list ...string) []netip.AddrPort {
	var a []netip.AddrPort
	for _, s := range list {
		a = append(a, netip.MustParseAddrPort(s))
	}
	return a
}

func TestParseAnnounce(t *testing.T) {
	plain := announce{
		infohash: infohash([]byte(testHash)), id: peerID([]byte(testID)),
		addrs: addrs("10.0.0.9:7401"), role: downloader, numwant: -1, compact: true,
	}
	with := func(change func(*announce)) announce {
		a := plain
		change(&a)
		return a
	}
	for _, test := range []struct {
		name, query string
		want        announce
	}{
		{"plain", query(), plain},
		{"unknown keys and escapes", "key=%zz&x&" + query(), plain},
		{"first of two wins", query() + "&port=1&left=0", plain},
		{"no left", query("left", ""), plain},
		{"unknown left", query("left", "-1"), plain},
		{"seed", query("left", "0"), with(func(a *announce) { a.role = seed })},
		{"started", query("event", "started"), with(func(a *announce) { a.event = eventStarted })},
		{"completed", query("event", "completed"), with(func(a *announce) { a.event = eventCompleted })},
		{"stopped", query("event", "stopped"), with(func(a *announce) { a.event = eventStopped })},
		{"paused", query("event", "paused"), plain},
		{"numwant", query("numwant", "7"), with(func(a *announce) { a.numwant = 7 })},
		{"no neighbours", query("numwant", "0"), with(func(a *announce) { a.numwant = 0 })},
		{"not compact", query("compact", "0", "no_peer_id", "1"),
			with(func(a *announce) { a.compact, a.noPeerID = false, true })},
		{"own address", query("ip", "10.1.2.3"), with(func(a *announce) { a.addrs = addrs("10.1.2.3:7401") })},
		{"own v6 address", query("ip", "2001:db8::1"), with(func(a *announce) { a.addrs = addrs("[2001:db8::1]:7401") })},
		{"mapped address", query("ip", "::ffff:10.1.2.3"), with(func(a *announce) { a.addrs = addrs("10.1.2.3:7401") })},
		{"both families", query("ipv6", "[2001:db8::1]:99", "ipv4", "10.1.2.3"),
			with(func(a *announce) { a.addrs = addrs("10.1.2.3:7401", "[2001:db8::1]:99") })},
		{"one of each family", query("ip", "10.1.2.3") + "&ip=10.1.2.4&ip=10.1.2.5",
			with(func(a *announce) { a.addrs = addrs("10.1.2.3:7401") })},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseAnnounce(test.query, netip.MustParseAddr("10.0.0.9"), true)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

func TestParseAnnounceRefuses(t *testing.T) {
	for _, test := range []struct {
		name, query string
		want        failure
	}{
		{"nothing", "", failInfoHash},
		{"short hash", query("info_hash", "x"), failInfoHash},
		{"long hash", query("info_hash", testHash+"x"), failInfoHash},
		{"no id", query("peer_id", ""), failPeerID},
		{"no port", query("port", ""), failPort},
		{"port 0", query("port", "0"), failPort},
		{"port too high", query("port", "65536"), failPort},
		{"bad left", query("left", "many"), failLeft},
		{"bad numwant", query("numwant", "99999999999"), failNumWant},
		{"bad event", query("event", "Started"), failEvent},
		{"name for an ip", query("ip", "web-1"), failIP},
		{"any ip", query("ip", "0.0.0.0"), failIP},
		{"multicast", query("ip", "ff02::1"), failIP},
		{"zone", query("ip", "fe80::1%eth0"), failIP},
		{"ip with port 0", query("ip", "10.0.0.1:0"), failIP},
		{"bad escape", query() + "&ip=%f", failQuery},
		{"long value", query("event", strings.Repeat("a", maxValueLen+1)), failLongValue},
		{"long query", query() + "&" + strings.Repeat("a", maxQueryLen), failLongQuery},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseAnnounce(test.query, netip.MustParseAddr("10.0.0.9"), true); err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestAnnouncedAddressIsNotTrusted(t *testing.T) {
	got, err := parseAnnounce(query("ip", "10.1.2.3"), netip.MustParseAddr("10.0.0.9"), false)
	if err != nil || !reflect.DeepEqual(got.addrs, addrs("10.0.0.9:7401")) {
		t.Errorf("got %v, %v", got.addrs, err)
	}
	if _, err := parseAnnounce(query(), netip.Addr{}, false); err != failIP {
		t.Errorf("without any address: got %v", err)
	}
}

func TestParseScrape(t *testing.T) {
	one := url.Values{"info_hash": {testHash}}.Encode()
	for _, test := range []struct {
		name, query string
		n           int
		err         error
	}{
		{"one", one, 1, nil},
		{"two", one + "&" + one, 2, nil},
		{"all", "", 0, failNoHash},
		{"short", one + "&info_hash=x", 0, failInfoHash},
		{"most", strings.Repeat("info_hash=aaaaaaaaaaaaaaaaaaaa&", maxScrape), maxScrape, nil},
		{"too many", strings.Repeat("info_hash=aaaaaaaaaaaaaaaaaaaa&", maxScrape+1), 0, failManyHashes},
	} {
		got, err := parseScrape(test.query)
		if len(got) != test.n || err != test.err {
			t.Errorf("%s: got %d, %v; want %d, %v", test.name, len(got), err, test.n, test.err)
		}
	}
	escaped := "info_hash=" + strings.Repeat("%ff", 20)
	if n := len(strings.Repeat(escaped+"&", maxScrape)); n > maxQueryLen {
		t.Errorf("a full scrape has %d bytes, over the query's limit", n)
	}
}

// Whatever comes in, what is accepted can be handed to others.
func FuzzParseAnnounce(f *testing.F) {
	f.Add(query(), true)
	f.Add(query("ip", "2001:db8::1", "ipv4", "10.0.0.1:80", "event", "stopped", "left", "0"), true)
	f.Add(query("ip", "fe80::1%25eth0", "numwant", "-1", "compact", "0"), false)
	f.Add("info_hash=%00&peer_id=%zz;port=+1&&=&", true)
	caller := netip.MustParseAddr("10.0.0.9")
	f.Fuzz(func(t *testing.T, raw string, trust bool) {
		a, err := parseAnnounce(raw, caller, trust)
		if err != nil {
			if _, ok := err.(failure); !ok {
				t.Errorf("%T %v is no failure", err, err)
			}
			return
		}
		if len(a.addrs) == 0 || len(a.addrs) > 2 || a.role >= roles || a.event > eventStopped {
			t.Errorf("accepted %+v", a)
		}
		for _, addr := range a.addrs {
			if !reachable(addr) || addr.Addr().Is4In6() || !trust && addr.Addr() != caller {
				t.Errorf("accepted address %v", addr)
			}
		}
	})
}
