package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
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
// streams are bounded in number and size, what would end memberlist is refused,
// and Shutdown ends every connection and dial, so that nothing lingers behind
// Run.
type wire struct {
	advertise netip.AddrPort
	keyed     bool                // everything is sealed with a key
	ring      *memberlist.Keyring // the keys; nil: all is in the clear
	tcp       net.Listener
	udp       *net.UDPConn
	packets   chan *memberlist.Packet
	streams   chan net.Conn
	slots     chan struct{} // one for each open incoming stream
	held      atomic.Int64  // bytes read from these; see maxHeld
	log       *zap.Logger
	starting  func() // called when memberlist asks for the address; see Gossip.create
	// ctx ends with Shutdown. It is kept because memberlist's interface hands
	// none down.
	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*wire)(nil)

// newWire binds. Nothing comes in before serve.
func newWire(c Config) (*wire, error) {
	tcp, udp, err := bind(c.Listen)
	if err != nil {
		return nil, err
	}
	addr, err := advertised(tcp.Addr(), c.Advertise)
	if err != nil {
		return nil, errors.Join(err, tcp.Close(), udp.Close())
	}
	w := &wire{
		advertise: addr, keyed: len(c.Keys) > 0, tcp: tcp, udp: udp, log: c.Log,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
		slots: make(chan struct{}, maxStreams),
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w, nil
}

// serve hands memberlist what comes in, until Shutdown.
func (w *wire) serve() {
	w.loops.Go(w.accept)
	w.loops.Go(w.receive)
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (w *wire) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	w.starting()
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
	return w.endWithWire(conn, conn, func() {}), nil
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
	in := &counted{in: conn, held: &w.held}
	stream := w.endWithWire(conn, in, func() {
		in.letGo()
		<-w.slots
	})
	if w.ring != nil {
		stream = &mute{Conn: stream, ring: w.ring}
	}
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
		if w.keyed && !sealedPacket(buf[:n]) {
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
