package tracker

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
)

// infohash is a torrent as announces name it: a v2 infohash cut to 20 bytes
// (BEP 52).
type infohash [20]byte

// peerID is the name that a client gives itself for as long as it runs.
type peerID [20]byte

// event is what a client says has just happened.
type event uint8

const (
	eventNone event = iota // one of the regular announces
	eventStarted
	eventCompleted
	eventStopped
)

// "paused" is a partial seed's (BEP 21): it wants nothing, but is no seed.
var events = map[string]event{
	"": eventNone, "empty": eventNone, "paused": eventNone,
	"started": eventStarted, "completed": eventCompleted, "stopped": eventStopped,
}

// announce is one client's word on itself and one torrent.
type announce struct {
	infohash infohash
	id       peerID
	addrs    []netip.AddrPort // one or two, of different families
	event    event
	role     role
	numwant  int  // neighbours asked for; negative: as many as the tracker gives
	compact  bool // BEP 23
	noPeerID bool // with compact off: leave the peers' ids out
}

var announceKeys = []string{
	"info_hash", "peer_id", "port", "left", "event", "numwant", "compact", "no_peer_id", "ip", "ipv4", "ipv6",
}

// parseAnnounce reads an announce's query (BEP 3, 7, 23). The client's address
// is the caller's, or with trustIP what the query says.
func parseAnnounce(rawQuery string, caller netip.Addr, trustIP bool) (announce, error) {
	q, err := parseQuery(rawQuery, announceKeys)
	if err != nil {
		return announce{}, err
	}
	a := announce{compact: q.Get("compact") != "0", noPeerID: q.Get("no_peer_id") == "1"}
	if a.infohash, err = parse20(q.Get("info_hash"), failInfoHash); err != nil {
		return announce{}, err
	}
	if a.id, err = parse20(q.Get("peer_id"), failPeerID); err != nil {
		return announce{}, err
	}
	known := false
	if a.event, known = events[q.Get("event")]; !known {
		return announce{}, failEvent
	}
	if a.role, err = parseRole(q.Get("left")); err != nil {
		return announce{}, err
	}
	if a.numwant, err = parseNumWant(q.Get("numwant")); err != nil {
		return announce{}, err
	}
	a.addrs, err = parseAddrs(q, caller, trustIP)
	return a, err
}

func parse20(s string, otherwise failure) ([20]byte, error) {
	if len(s) != 20 {
		return [20]byte{}, otherwise
	}
	return [20]byte([]byte(s)), nil
}

// parseRole tells a seed, which has no bytes left to get. Without the number a
// client counts as a downloader, which errs towards giving it neighbours.
func parseRole(left string) (role, error) {
	if left == "" {
		return downloader, nil
	}
	n, err := strconv.ParseInt(left, 10, 64)
	switch {
	case err != nil:
		return downloader, failLeft
	case n == 0:
		return seed, nil
	}
	return downloader, nil // some clients say -1 before they know the size
}

func parseNumWant(s string) (int, error) {
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, failNumWant
	}
	return int(n), nil
}

// parseAddrs returns the client's address, or one of each family if it has two
// (BEP 7).
func parseAddrs(q url.Values, caller netip.Addr, trustIP bool) ([]netip.AddrPort, error) {
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil || port == 0 {
		return nil, failPort
	}
	var addrs []netip.AddrPort
	if trustIP {
		for _, s := range slices.Concat(q["ip"], q["ipv4"], q["ipv6"]) {
			addr, err := parseAddr(s, uint16(port))
			if err != nil {
				return nil, err
			}
			addrs = addFamily(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		addrs = append(addrs, netip.AddrPortFrom(caller, uint16(port)))
	}
	if !reachable(addrs[0]) { // only the caller's was not checked yet
		return nil, failIP
	}
	return addrs, nil
}

// parseAddr reads an address, or an address with a port of its own (BEP 7).
func parseAddr(s string, port uint16) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return addr, failIP
		}
		addr = netip.AddrPortFrom(ip, port)
	}
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !reachable(addr) {
		return addr, failIP
	}
	return addr, nil
}

// addFamily keeps the first address of each family.
func addFamily(addrs []netip.AddrPort, addr netip.AddrPort) []netip.AddrPort {
	sameFamily := func(a netip.AddrPort) bool { return a.Addr().Is4() == addr.Addr().Is4() }
	if slices.ContainsFunc(addrs, sameFamily) {
		return addrs
	}
	return append(addrs, addr)
}

// reachable reports whether an address can mean the same host to another one.
// A zone names an interface of one host only.
func reachable(a netip.AddrPort) bool {
	ip := a.Addr()
	return a.Port() != 0 && ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && ip.Zone() == ""
}
