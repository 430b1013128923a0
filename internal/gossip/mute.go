package gossip

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"github.com/hashicorp/memberlist"
)

// maxSealed bounds a sealed message, in bytes; memberlist's own bound.
const maxSealed = 20 << 20

var (
	errStranger = errors.New("not sealed with a key of this host")
	errMute     = errors.New("nothing is said to a stranger")
)

// mute is a stream that somebody else opened. Nothing is said on it before its
// first message has shown that the other end has a key: memberlist would answer a
// stranger with an error, which is sealed, and tells all the same that this is
// gossip.
type mute struct {
	net.Conn
	ring  *memberlist.Keyring
	known atomic.Bool
	first io.Reader // the first message, once it has been read
}

// Read implements net.Conn.
func (m *mute) Read(b []byte) (int, error) {
	if m.first == nil {
		message, err := m.open()
		if err != nil {
			return 0, err
		}
		m.known.Store(true)
		m.first = bytes.NewReader(message)
	}
	if n, err := m.first.Read(b); err == nil {
		return n, nil
	}
	return m.Conn.Read(b)
}

// Write implements net.Conn.
func (m *mute) Write(b []byte) (int, error) {
	if !m.known.Load() {
		return 0, errMute
	}
	return m.Conn.Write(b)
}

// open reads the first message as it came, if one of the keys opens it.
func (m *mute) open() ([]byte, error) {
	message := make([]byte, sealedHead-1)
	if _, err := io.ReadFull(m.Conn, message); err != nil {
		return nil, err // io.EOF where there was nothing at all
	}
	size := binary.BigEndian.Uint32(message[1:])
	if message[0] != sealedType || size < minSealed || size > maxSealed {
		return nil, errStranger
	}
	var rest bytes.Buffer // grows with what comes, not with what was promised
	if _, err := io.CopyN(&rest, m.Conn, int64(size)); err != nil {
		return nil, err
	}
	if !opens(m.ring.GetKeys(), rest.Bytes(), message) {
		return nil, errStranger
	}
	return append(message, rest.Bytes()...), nil
}

// opens reports whether one of the keys opens a sealed message: version, nonce,
// and AES-GCM with the head as additional data.
func opens(keys [][]byte, sealed, head []byte) bool {
	const version, nonce = 1, 12
	for _, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			continue
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			continue
		}
		if _, err := gcm.Open(nil, sealed[version:version+nonce], sealed[version+nonce:], head); err == nil {
			return true
		}
	}
	return false
}
