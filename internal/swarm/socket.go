package swarm

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentLen is how many bytes the kernel takes from a connection beyond what it
// could send, in bytes. Without a bound it takes megabytes: then a write says
// nothing about the link, and what is urgent waits behind what is not.
const unsentLen = 64 << 10

// limitUnsent bounds a TCP connection's unsent bytes.
func limitUnsent(c net.Conn) error {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return fmt.Errorf("bound unsent bytes: %w", err)
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLen)
	})
	if err != nil {
		return fmt.Errorf("bound unsent bytes: %w", err)
	}
	return optErr
}
