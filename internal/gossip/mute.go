package gossip

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/hashicorp/memberlist"
)

// maxSealed bounds a sealed message, in bytes; memberlist's own bound.
const maxSealed = 20 << 20

var errStranger = errors.New("not sealed with a key of this host")

// mute is a stream that somebody else opened. It can't be read before its first
// message has shown that the other end has a key, and memberlist says nothing to whom it
// can't read at all. It would answer a stranger's message with an error, which is
// sealed, and tells all the same that this is gossip.
type mute struct {
	net.Conn
	ring  *memberlist.Keyring
	first io.Reader // the first message, once it has been read
}

// Read implements net.Conn.
func (m *mute) Read(b []byte) (int, error) {
	if m.first == nil {
		var err error
		if m.first, err = m.open(); err != nil {
			return 0, err
		}
	}
	if n, err := m.first.Read(b); err == nil {
		return n, nil
	}
	return m.Conn.Read(b)
}

// open reads the first message as it came, if one of the keys opens it.
func (m *mute) open() (io.Reader, error) {
	head := make([]byte, sealedHead-1)
	if _, err := io.ReadFull(m.Conn, head); err != nil {
		return nil, err // io.EOF where there was nothing at all
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != sealedType || size < minSealed || size > maxSealed {
		return nil, errStranger
	}
	var rest bytes.Buffer // grows with what comes, not with what was promised
	if _, err := io.CopyN(&rest, m.Conn, int64(size)); err != nil {
		return nil, err
	}
	if !opens(m.ring.GetKeys(), rest.Bytes(), head) {
		return nil, errStranger
	}
	return io.MultiReader(bytes.NewReader(head), &rest), nil
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
