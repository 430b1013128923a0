package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"crow/internal/store"
)

// socketName is the socket's name in the state folder.
const socketName = "agent.sock"

// maxSocketPath is what the kernel takes of a socket's path, in bytes, with the
// zero behind it left out (unix(7)).
const maxSocketPath = 107

// Path is where the agent's socket is.
func Path(stateDir string) string { return filepath.Join(stateDir, socketName) }

// Listen binds the agent's socket. The caller has the lock on the data
// directory, so that a socket which is there is that of an agent that was killed.
// The socket stays after Close, for nobody, until the next Listen.
func Listen(stateDir string) (net.Listener, error) {
	path := Path(stateDir)
	if err := store.RemoveIfThere(path); err != nil {
		return nil, err
	}
	var l *net.UnixListener
	err := shortly(stateDir, func(addr *net.UnixAddr) (err error) {
		l, err = net.ListenUnix("unix", addr)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // its name for it may be gone by then
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l, nil
}

// dial calls the agent. The error is ErrNoAgent if there is none.
func dial(ctx context.Context, stateDir string) (net.Conn, error) {
	var c net.Conn
	err := shortly(stateDir, func(addr *net.UnixAddr) (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, "unix", addr.Name)
		return err
	})
	for _, nobody := range []error{unix.ENOENT, unix.ECONNREFUSED, unix.ENOTDIR} {
		if errors.Is(err, nobody) {
			return nil, fmt.Errorf("%w on %s", ErrNoAgent, Path(stateDir))
		}
	}
	return c, err
}

// shortly calls f with a path of the socket that is short enough for the kernel:
// by way of a descriptor of its folder, where the folder's own path is too long.
func shortly(stateDir string, f func(*net.UnixAddr) error) error {
	path := Path(stateDir)
	if len(path) > maxSocketPath {
		dir, err := os.Open(stateDir)
		if err != nil {
			return err
		}
		defer dir.Close()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName)
	}
	return f(&net.UnixAddr{Name: path, Net: "unix"})
}
