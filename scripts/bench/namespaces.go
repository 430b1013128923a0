package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// network is host 0, where the file is, and the hosts that get it: each in a
// network namespace of its own, joined by a bridge in one more. Nothing of it
// touches the machine's own network.
type network struct {
	prefix string // of its namespaces; has the process's id and a random part, so that no two benches meet
	hosts  int    // besides host 0
	made   []string
	shaped map[int]bitrate
}

const bridgePort = "p" // with the host's number: its end of the link at the bridge

// newNetwork makes a network with no limits on its links. It leaves nothing
// behind when it fails.
func newNetwork(ctx context.Context, hosts int) (*network, error) {
	n := &network{prefix: fmt.Sprintf("crowbench%d-%04x-", os.Getpid(), rand.N(1<<16)), hosts: hosts, shaped: map[int]bitrate{}}
	if err := n.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make network namespaces: %w", err), n.close())
	}
	return n, nil
}

func (n *network) build(ctx context.Context) error {
	bridge := n.bridge()
	err := n.add(ctx, bridge,
		[]string{"-n", bridge, "link", "add", "br0", "type", "bridge"},
		[]string{"-n", bridge, "link", "set", "br0", "up"})
	for host := 0; host <= n.hosts && err == nil; host++ {
		name, port := n.name(host), fmt.Sprint(bridgePort, host)
		err = n.add(ctx, name,
			[]string{"link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", port, "netns", bridge},
			[]string{"-n", bridge, "link", "set", port, "master", "br0", "up"},
			[]string{"-n", name, "addr", "add", address(host) + "/16", "dev", "eth0"},
			[]string{"-n", name, "link", "set", "lo", "up"},
			[]string{"-n", name, "link", "set", "eth0", "up"})
	}
	return err
}

// add makes one namespace and sets it up by ip commands.
func (n *network) add(ctx context.Context, name string, setup ...[]string) error {
	if _, err := command(ctx, "ip", "netns", "add", name); err != nil {
		return err
	}
	n.made = append(n.made, name)
	for _, args := range setup {
		if _, err := command(ctx, "ip", args...); err != nil {
			return err
		}
	}
	return nil
}

// close removes the namespaces, and with them their links. It takes no context:
// it has to happen on every way out.
func (n *network) close() error {
	var errs []error
	for _, name := range slices.Backward(n.made) {
		_, err := command(context.Background(), "ip", "netns", "del", name)
		errs = append(errs, err)
	}
	n.made = nil
	return errors.Join(errs...)
}

func (n *network) bridge() string { return n.prefix + "br" }

func (n *network) name(host int) string { return fmt.Sprint(n.prefix, host) }

// last is the host that is made to differ where one does.
func (n *network) last() int { return n.hosts }

// all are the hosts that get the file.
func (n *network) all() []int {
	var hosts []int
	for host := range n.hosts {
		hosts = append(hosts, host+1)
	}
	return hosts
}

// address is a host's address on the bridge.
func address(host int) string { return fmt.Sprintf("10.77.%d.%d", host/250, host%250+1) }

// leftBehind lists namespaces of benches that were killed before they could
// remove them, from the output of ip netns list.
func leftBehind(list string, alive func(pid string) bool) []string {
	var names []string
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, ours := strings.CutPrefix(name, "crowbench")
		pid, _, ok := strings.Cut(rest, "-")
		if ours && ok && !alive(pid) {
			names = append(names, name)
		}
	}
	return names
}
