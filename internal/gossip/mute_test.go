package gossip

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// sealedWith is a stream's first message as memberlist seals it with a key.
func sealedWith(t *testing.T, key []byte, message string) string {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, gcm.NonceSize())
	head := []byte{sealedType, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[1:], uint32(1+len(nonce)+len(message)+gcm.Overhead()))
	sealed := append([]byte{sealedVersion}, nonce...)
	return string(head) + string(gcm.Seal(sealed, nonce, []byte(message), head))
}

// A stranger that opens a stream gets no byte, not even a sealed one: memberlist
// would answer it with an error. Who has a key is answered.
func TestStrangersAreToldNothing(t *testing.T) {
	t.Parallel()
	seeder := run(t, keyed(config(t, "seeder-1"), oldKey))
	ping := "\x09compressed, and not as memberlist does it"
	own := sealedWith(t, oldKey, ping)
	for name, c := range map[string]struct {
		says    string
		answers bool
	}{
		"nothing":             {"", false},
		"HTTP":                {"GET / HTTP/1.1\r\n\r\n", false},
		"in the clear":        {ping, false},
		"another key":         {sealedWith(t, newKey, ping), false},
		"a flipped byte":      {own[:len(own)-1] + string(own[len(own)-1]^1), false},
		"cut off":             {own[:len(own)-1], false},
		"a length of 4 GiB":   {"\x0a\xff\xff\xff\xff" + strings.Repeat("x", 100), false},
		"a length of nothing": {"\x0a\x00\x00\x00\x00", false},
		"the fleet's key":     {own, true},
	} {
		conn, err := net.Dial("tcp", seeder.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(15 * time.Second))
		io.WriteString(conn, c.says)
		conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn) // a reset is as good as an end
		if len(answer) > 0 != c.answers {
			t.Errorf("%s: answered %q", name, answer)
		}
	}
}
