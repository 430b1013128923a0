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

// maxRetransmit is how long TCP waits at most before it sends again what was not
// acknowledged, in milliseconds; the least that Linux lets one say. By itself it
// doubles its wait each time: with a dozen neighbours that send into one small
// buffer, some connection of many stood still for ten seconds while the rest
// of the swarm finished.
const maxRetransmit = 1000

// setUpSending has a TCP connection take little and repeat soon. Kernels before
// 6.15 don't know the second, which is no reason to do without the connection.
func setUpSending(c net.Conn) error {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return fmt.Errorf("set up socket: %w", err)
	}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLen)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RTO_MAX_MS, maxRetransmit)
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_THIN_LINEAR_TIMEOUTS, 1)
	})
	if err != nil {
		return fmt.Errorf("set up socket: %w", err)
	}
	return optErr
}

// maxLowWater bounds how much of a piece is waited for in the kernel, in bytes:
// a part of the smallest receive buffer.
const maxLowWater = 32 << 10

// firstBuffer is the receive buffer that Linux begins with by default, in bytes, as
// SO_RCVBUF counts.
const firstBuffer = 64 << 10

// receiving is how the kernel receives for a connection's one reader. What goes
// wrong here shows in the read that follows, if it matters.
type receiving struct {
	raw      syscall.RawConn
	lowWater int
	window   int
}

func newReceiving(c net.Conn) (receiving, error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	return receiving{raw: raw, lowWater: 1, window: openWindow}, err
}

// prepare sets up the next read: what the neighbour may send ahead of it
// (TCP_WINDOW_CLAMP, SO_RCVBUF), and that the reader sleeps until left bytes have arrived,
// or enough of them (SO_RCVLOWAT); 0 means anything. A link that is slow for
// the machine would wake it for each packet, and nothing can be done with a part
// of a block.
func (r *receiving) prepare(left, window int) {
	if window != r.window {
		r.window = window
		r.set(unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, window)
		// The window counts from what has arrived, read or not: what bounds that is the
		// buffer.
		r.set(unix.SOL_SOCKET, unix.SO_RCVBUF, min(window, firstBuffer))
		if window == openWindow {
			r.set(unix.SOL_SOCKET, unix.SO_BUF_LOCK, 0) // the kernel may let it grow again
		}
	}
	// More than fits into the window would never arrive.
	if n := max(1, min(left, maxLowWater, window/4)); n != r.lowWater {
		r.lowWater = n
		r.set(unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
	}
}

// offered is how much the neighbour may send that this node has not received yet, in
// bytes; 0 before Linux 6.2, which does not tell.
func (r *receiving) offered() (n int64) {
	_ = r.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int64(info.Rcv_wnd)
		}
	})
	return n
}

func (r *receiving) set(level, option, value int) {
	_ = r.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), level, option, value) })
}
