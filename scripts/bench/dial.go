package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/transport"
)

// namespaceDir is where ip keeps the namespaces that have names.
const namespaceDir = "/run/netns"

// Timeouts within a network that has no distance.
const (
	dialTimeout = 5 * time.Second
	callTimeout = 20 * time.Second
)

// client returns an HTTP client whose connections begin in a host's namespace.
// Its calls cost no process, which would be measured with the rest.
func (n *network) client(host int) *http.Client {
	name := n.name(host)
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true, // else they would keep the namespace
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return dialIn(ctx, name, network, addr)
			},
		},
	}
}

// secureClient is client for https to a seeder. It keeps its connection, which
// the caller closes: a handshake for each look would be charged to the seeder.
func (n *network) secureClient(host int, safe transport.Security) *http.Client {
	name := n.name(host)
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dialIn(ctx, name, network, addr)
				if err != nil {
					return nil, err
				}
				return safe.Client(ctx, conn, addr, transport.RoleSeeder)
			},
		},
	}
}

// dialIn connects from within a namespace. A connection stays in the namespace
// that it was made in.
func dialIn(ctx context.Context, namespace, network, addr string) (net.Conn, error) {
	var conn net.Conn
	err := within(namespace, func() (err error) {
		conn, err = (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// within runs f on a thread that is in a namespace for that long.
func within(namespace string, f func() error) error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer home.Close()
	away, err := os.Open(filepath.Join(namespaceDir, namespace))
	if err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer away.Close()
	runtime.LockOSThread()
	if err := unix.Setns(int(away.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", namespace, err)
	}
	err = f()
	// The thread must come home and live on: the kernel takes the end of the
	// thread that started a process for the end of bench (Pdeathsig).
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave namespace %s: %w", namespace, back)) // still locked: nobody else gets it
	}
	runtime.UnlockOSThread()
	return err
}
