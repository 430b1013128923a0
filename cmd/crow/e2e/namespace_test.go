package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// namespaces makes n+1 network namespaces joined by a bridge in one more, and
// returns a prefix: host i is prefix+i at 10.78.0.(i+1), with links that carry
// 100 Mbit/s in each direction.
func namespaces(t *testing.T, n int) (prefix string) {
	t.Helper()
	needNamespaces(t)
	raiseNeighbours(t, n)
	prefix = fmt.Sprintf("crow%d-", os.Getpid())
	bridge := prefix + "br"
	add := func(name string) {
		command(t, "ip", "netns", "add", name)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	}
	add(bridge)
	command(t, "ip", "-n", bridge, "link", "add", "br0", "type", "bridge")
	command(t, "ip", "-n", bridge, "link", "set", "br0", "up")
	for i := range n + 1 {
		ns, port := fmt.Sprint(prefix, i), portOf(i)
		add(ns)
		command(t, "ip", "link", "add", "eth0", "netns", ns, "type", "veth", "peer", "name", port, "netns", bridge)
		command(t, "ip", "-n", bridge, "link", "set", port, "master", "br0", "up")
		command(t, "ip", "-n", ns, "link", "set", "lo", "up")
		command(t, "ip", "-n", ns, "addr", "add", fmt.Sprintf("10.78.0.%d/24", i+1), "dev", "eth0")
		command(t, "ip", "-n", ns, "link", "set", "eth0", "up")
		for where, dev := range map[string]string{ns: "eth0", bridge: port} {
			command(t, "tc", "-n", where, "qdisc", "add", "dev", dev, "root", "tbf", "rate", "100mbit", "burst", "64kb", "latency", "40ms")
		}
	}
	return prefix
}

// portOf is the bridge's end of a host's link.
func portOf(host int) string { return fmt.Sprint("p", host) }

// command runs one that has to succeed.
func command(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

// needNamespaces skips a test where it cannot make network namespaces.
func needNamespaces(t *testing.T) {
	t.Helper()
	needRoot(t, "makes network namespaces")
	for _, tool := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s, of Debian's iproute2: makes network namespaces", tool)
		}
	}
	probe := fmt.Sprintf("crow%d-probe", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", probe).CombinedOutput(); err != nil {
		t.Skipf("cannot make network namespaces: ip netns add: %v: %s", err, out)
	}
	exec.Command("ip", "netns", "del", probe).Run()
}

// raiseNeighbours makes room in the kernel's neighbour table, which is one for all
// namespaces: n hosts that all talk need n*n entries, and beyond the limits they lose
// each other silently. It puts back what it raised.
func raiseNeighbours(t *testing.T, n int) {
	t.Helper()
	for i, factor := range []int{4, 2, 1} { // the highest limit first, so that they are in order at any time
		path := fmt.Sprintf("/proc/sys/net/ipv4/neigh/default/gc_thresh%d", 3-i)
		b, err := os.ReadFile(path)
		if err != nil {
			return // a container, which its host's limits hold for
		}
		old, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if want := (n + 1) * (n + 1) * factor; err == nil && old < want {
			write(t, path, strconv.Itoa(want), 0o644)
			t.Cleanup(func() { os.WriteFile(path, []byte(strconv.Itoa(old)), 0o644) })
		}
	}
}

// startNamespacedSeeder starts a fleet whose hosts have network namespaces of their
// own, n of them.
func startNamespacedSeeder(t *testing.T, n int) *fleet {
	t.Helper()
	prefix := namespaces(t, n)
	f := &fleet{t: t, dir: t.TempDir(), subnet: "10.78.0", namespaces: prefix, own: newCredentials(t, "fleet")}
	f.startSeederDaemon("")
	return f
}

// cut takes a host's link down, as a pulled cable does; mend brings it back.
func (f *fleet) cut(host int)  { f.link(host, "down") }
func (f *fleet) mend(host int) { f.link(host, "up") }

func (f *fleet) link(host int, state string) {
	f.t.Helper()
	command(f.t, "ip", "-n", f.namespaces+"br", "link", "set", portOf(host), state)
}

// TestNamespaces deploys over links that can lose, queue and delay, to hosts
// whose only way to each other is their own address.
func TestNamespaces(t *testing.T) {
	const hosts = 8
	f := startNamespacedSeeder(t, hosts)
	for range hosts {
		f.addPeer(peerConfig{app: hook(t, "unpack: true", recordingHook)})
	}
	f.awaitHosts(hosts)
	tree := makeTree(t)
	write(t, tree+"/share/large", mustRead(t, artifact(t, 20<<20)), 0o644)
	f.push(0, tree, "1.0")
	want := treeOf(t, tree)
	for _, p := range f.peers {
		if treeOf(t, p.release("1.0")) != want {
			t.Errorf("%s: tree differs", p.name)
		}
	}
	f.push(0, makeTree(t), "1.1")
	s := f.status("web")
	for _, p := range f.peers {
		checkHookFacts(t, p, s.Deploy)
	}
	if r := f.push(0, tree, "1.2"); r.code == 0 {
		if sent := f.status("web").SeederBytesSent; sent > 3*20<<20 {
			t.Errorf("the seeder sent %d bytes of 20 MiB to %d hosts", sent, hosts)
		}
	}
}
