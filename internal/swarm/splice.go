package swarm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNoSendfile says that the file's file system can't send from it.
var errNoSendfile = errors.New("sendfile is not supported")

// splice is a piece frame on its way out of a file into a socket, by sendfile(2):
// the kernel hands the file's pages on, and nobody copies them. net.TCPConn would
// do so too, but from the file's own position, of which there is one for all
// connections, and with the head in a packet of its own.
type splice struct {
	head []byte // what is yet to be sent of the frame's head
	at   int64  // where the rest of the block begins in the file
	left int    // what is yet to be sent of the block, in bytes
}

// run sends until all is sent, within the socket's write deadline. What is left
// in s if it fails was not sent.
func (s *splice) run(from *os.File, to syscall.RawConn) error {
	file, err := from.SyscallConn()
	if err != nil {
		return fmt.Errorf("send block: %w", err)
	}
	var stepErr error
	err = to.Write(func(socket uintptr) (done bool) {
		// Control keeps the file from being closed, and only meanwhile.
		err := file.Control(func(fd uintptr) { done, stepErr = s.step(int(socket), int(fd)) })
		if err != nil {
			stepErr = err
		}
		return done || err != nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("send block: %w", err)
	case errors.Is(stepErr, errNoSendfile):
		return stepErr
	case stepErr != nil:
		return fmt.Errorf("send block: %w", stepErr)
	}
	return nil
}

// step sends what the socket takes. It reports false when the socket is full.
func (s *splice) step(socket, file int) (done bool, err error) {
	for len(s.head)+s.left > 0 {
		switch err := s.send(socket, file); {
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return false, nil
		default:
			return true, err
		}
	}
	return true, nil
}

func (s *splice) send(socket, file int) error {
	if len(s.head) > 0 { // which waits for the block, or it would go in a packet of its own
		n, err := unix.SendmsgN(socket, s.head, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
		if n > 0 {
			s.head = s.head[n:]
		}
		return err
	}
	n, err := unix.Sendfile(socket, file, &s.at, s.left)
	switch {
	case n > 0:
		s.left -= n
		return nil
	case err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP:
		return errNoSendfile
	case err == nil:
		return io.ErrUnexpectedEOF
	}
	return err
}
