package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// shape gives a host's link a rate in each direction, at the host's end for
// what it sends and at the bridge's for what it receives; 0 takes the limit off.
// The burst lets 64 KiB pass at once, the queue holds 40 ms.
func (n *network) shape(ctx context.Context, host int, rate bitrate) error {
	if n.shaped[host] == rate {
		return nil
	}
	ends := [][]string{{n.name(host), "eth0"}, {n.bridge(), fmt.Sprint(bridgePort, host)}}
	for _, end := range ends {
		args := []string{"-n", end[0], "qdisc", "replace", "dev", end[1], "root", "tbf", "rate", rate.tc(), "burst", "64kb", "latency", "40ms"}
		if rate == 0 {
			args = []string{"-n", end[0], "qdisc", "del", "dev", end[1], "root"}
		}
		if _, err := command(ctx, "tc", args...); err != nil {
			return fmt.Errorf("shape the link of host %d: %w", host, err)
		}
	}
	n.shaped[host] = rate
	return nil
}

// shapeAll gives all links, host 0's too, the same rate.
func (n *network) shapeAll(ctx context.Context, rate bitrate) error {
	for host := range n.hosts + 1 {
		if err := n.shape(ctx, host, rate); err != nil {
			return err
		}
	}
	return nil
}

// traffic is what a host sent and received over its link so far, in bytes of
// TCP payload.
type traffic struct{ sent, received int64 }

func (t traffic) since(before traffic) traffic {
	return traffic{t.sent - before.sent, t.received - before.received}
}

// traffic reads the links' counters, by host, at the bridge's ends.
func (n *network) traffic(ctx context.Context) (map[int]traffic, error) {
	out, err := command(ctx, "ip", "-n", n.bridge(), "-s", "-j", "link", "show")
	if err != nil {
		return nil, fmt.Errorf("read link counters: %w", err)
	}
	return parseTraffic([]byte(out))
}

// headerLen is what each packet carries besides payload: Ethernet 14, IPv4 20,
// TCP 20 and its timestamps 12. The kernel counts a packet that it has not cut
// up yet as one, with one header.
const headerLen = 66

type linkCounter struct {
	Bytes   int64 `json:"bytes"`
	Packets int64 `json:"packets"`
}

func (c linkCounter) payload() int64 { return max(0, c.Bytes-c.Packets*headerLen) }

// parseTraffic reads the JSON of ip. What a port of the bridge receives is what
// its host sends.
func parseTraffic(b []byte) (map[int]traffic, error) {
	var links []struct {
		Name  string `json:"ifname"`
		Stats struct {
			RX linkCounter `json:"rx"`
			TX linkCounter `json:"tx"`
		} `json:"stats64"`
	}
	if err := json.Unmarshal(b, &links); err != nil {
		return nil, fmt.Errorf("read link counters: %w", err)
	}
	all := map[int]traffic{}
	for _, l := range links {
		number, ok := strings.CutPrefix(l.Name, bridgePort)
		host, err := strconv.Atoi(number)
		if ok && err == nil {
			all[host] = traffic{sent: l.Stats.RX.payload(), received: l.Stats.TX.payload()}
		}
	}
	return all, nil
}
