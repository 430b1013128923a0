package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"

	"crow/internal/transport"
)

const (
	// maxStreams bounds the TCP exchanges that others have open with this
	// member at once; they are short. memberlist itself has no bound.
	maxStreams = 128
	// maxPacket is the largest datagram there is, in bytes.
	maxPacket = 64 << 10
	// acceptPause keeps a lack of file descriptors from becoming a busy loop.
	acceptPause = 100 * time.Millisecond
)

// wire is memberlist's transport. It differs from the one that memberlist
// brings in that its errors tell what is wrong with an address, incoming
// streams are bounded, and Shutdown ends every connection and dial, so that
// nothing lingers behind Run.
type wire struct {
	advertise netip.AddrPort
	tcp       net.Listener
	udp       *net.UDPConn
	packets   chan *memberlist.Packet
	streams   chan net.Conn
	slots     chan struct{} // one for each open incoming stream
	log       *zap.Logger
	// ctx ends with Shutdown. It is kept because memberlist's interface hands
	// none down.
	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*wire)(nil)

func newWire(listen, advertise string, log *zap.Logger) (*wire, error) {
	tcp, udp, err := bind(listen)
	if err != nil {
		return nil, err
	}
	addr, err := advertised(tcp.Addr(), advertise)
	if err != nil {
		return nil, errors.Join(err, tcp.Close(), udp.Close())
	}
	w := &wire{
		advertise: addr, tcp: tcp, udp: udp, log: log,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
		slots: make(chan struct{}, maxStreams),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.loops.Go(w.accept)
	w.loops.Go(w.receive)
	return w, nil
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (w *wire) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return w.advertise.Addr().AsSlice(), int(w.advertise.Port()), nil
}

// PacketCh implements memberlist.Transport.
func (w *wire) PacketCh() <-chan *memberlist.Packet { return w.packets }

// StreamCh implements memberlist.Transport.
func (w *wire) StreamCh() <-chan net.Conn { return w.streams }

// WriteTo implements memberlist.Transport.
func (w *wire) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("address of a packet: %w", err)
	}
	_, err = w.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err // memberlist looks at its type
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (w *wire) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return w.WriteTo(b, addr.Addr)
}

// DialTimeout implements memberlist.Transport.
func (w *wire) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(w.ctx, timeout)
	defer cancel()
	conn, err := transport.Security{Insecure: true}.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return w.endWithWire(conn, func() {}), nil
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (w *wire) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return w.DialTimeout(addr.Addr, timeout)
}

// Shutdown implements memberlist.Transport. It returns when both loops have
// ended.
func (w *wire) Shutdown() error {
	w.cancel()
	err := errors.Join(w.tcp.Close(), w.udp.Close())
	w.loops.Wait()
	if errors.Is(err, net.ErrClosed) { // it is called twice where serf fails to start
		return nil
	}
	return err
}

func (w *wire) accept() {
	for {
		conn, err := w.tcp.Accept()
		switch {
		case err == nil:
			w.offer(conn)
		case w.ctx.Err() != nil:
			return
		default:
			w.log.Warn("could not accept a gossip stream", zap.Error(err))
			if !sleep(w.ctx, acceptPause) {
				return
			}
		}
	}
}

// offer hands an incoming stream to memberlist, or drops it if there are too
// many.
func (w *wire) offer(conn net.Conn) {
	select {
	case w.slots <- struct{}{}:
	default:
		closeQuietly(conn)
		return
	}
	stream := w.endWithWire(conn, func() { <-w.slots })
	select {
	case w.streams <- stream:
	case <-w.ctx.Done():
		closeQuietly(stream)
	}
}

func (w *wire) receive() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := w.udp.ReadFromUDPAddrPort(buf)
		if w.ctx.Err() != nil {
			return
		}
		if err != nil || n == 0 { // an ICMP error of an earlier packet, or an empty one
			continue
		}
		p := &memberlist.Packet{
			Buf: append([]byte(nil), buf[:n]...), Timestamp: time.Now(),
			From: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.Addr().Unmap(), from.Port())),
		}
		select {
		case w.packets <- p:
		case <-w.ctx.Done():
			return
		}
	}
}

// stream is a connection that Shutdown closes too.
type stream struct {
	net.Conn
	end func() error
}

// Close implements net.Conn.
func (s stream) Close() error { return s.end() }

// endWithWire makes conn end with the wire at the latest; closed is called
// once, when it ends.
func (w *wire) endWithWire(conn net.Conn, closed func()) net.Conn {
	end := sync.OnceValue(func() error {
		closed()
		return conn.Close()
	})
	stop := context.AfterFunc(w.ctx, func() { end() }) //nolint:errcheck // nobody is there to be told
	return stream{Conn: conn, end: func() error {
		stop()
		return end()
	}}
}

// closeQuietly closes a connection that carried nothing.
func closeQuietly(c net.Conn) { c.Close() } //nolint:errcheck // there is nothing to lose
