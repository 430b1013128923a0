package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// namespaces makes n+1 network namespaces joined by a bridge in one more, and
// returns a prefix: host i is prefix+i at 10.78.0.(i+1), with links that carry
// 100 Mbit/s in each direction.
func namespaces(t *testing.T, n int) (prefix string) {
	t.Helper()
	needRoot(t, "makes network namespaces")
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of Debian's iproute2")
	}
	prefix = fmt.Sprintf("crow%d-", os.Getpid())
	bridge := prefix + "br"
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	add := func(name string) {
		ip("netns", "add", name)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	}
	add(bridge)
	ip("-n", bridge, "link", "add", "br0", "type", "bridge")
	ip("-n", bridge, "link", "set", "br0", "up")
	for i := range n + 1 {
		ns, port := fmt.Sprint(prefix, i), fmt.Sprint("p", i)
		add(ns)
		ip("link", "add", "eth0", "netns", ns, "type", "veth", "peer", "name", port, "netns", bridge)
		ip("-n", bridge, "link", "set", port, "master", "br0", "up")
		ip("-n", ns, "link", "set", "lo", "up")
		ip("-n", ns, "addr", "add", fmt.Sprintf("10.78.0.%d/24", i+1), "dev", "eth0")
		ip("-n", ns, "link", "set", "eth0", "up")
		for where, dev := range map[string]string{ns: "eth0", bridge: port} {
			out, err := exec.Command("tc", "-n", where, "qdisc", "add", "dev", dev, "root", "tbf",
				"rate", "100mbit", "burst", "64kb", "latency", "40ms").CombinedOutput()
			if err != nil {
				t.Fatalf("tc: %v: %s", err, out)
			}
		}
	}
	return prefix
}

// TestNamespaces deploys over links that can lose, queue and delay, to hosts
// whose only way to each other is their own address.
func TestNamespaces(t *testing.T) {
	const hosts = 8
	prefix := namespaces(t, hosts)
	f := &fleet{t: t, dir: t.TempDir(), subnet: "10.78.0", namespaces: prefix, own: newCredentials(t, "fleet")}
	f.startSeederDaemon("")
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
