package signing

import (
	"errors"
	"fmt"

	"aead.dev/minisign"

	"crow/internal/release"
)

// ErrPassphrase marks a private key that its passphrase does not open.
var ErrPassphrase = errors.New("wrong passphrase")

// PrivateKey signs. The zero value is no key. It has no form as text but those
// that File and Encrypt give when asked, so that no log and no document shows it.
type PrivateKey struct {
	key minisign.PrivateKey
}

// GenerateKey makes a new key.
func GenerateKey() (PrivateKey, error) {
	_, key, err := minisign.GenerateKey(nil)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generate key: %w", err)
	}
	return PrivateKey{key}, nil
}

// ParsePrivateKey reads the text of a minisign secret key file. If the key is
// encrypted, it calls passphrase, which may be nil for none, and needs up to
// 1 GiB of memory and some seconds, as minisign does. Errors: release.ErrInvalid
// for a file of anything else, ErrPassphrase, and what passphrase returns. None
// quotes the file.
func ParsePrivateKey(text []byte, passphrase func() ([]byte, error)) (PrivateKey, error) {
	if len(text) > maxKeyFileLen {
		return PrivateKey{}, fmt.Errorf("%w private key: %d bytes, at most %d are allowed", release.ErrInvalid, len(text), maxKeyFileLen)
	}
	if minisign.IsEncrypted(text) {
		return decrypt(text, passphrase)
	}
	var k PrivateKey
	if err := k.key.UnmarshalText(text); err != nil {
		return PrivateKey{}, fmt.Errorf("%w private key: want the text of a minisign secret key file", release.ErrInvalid)
	}
	return k, k.check()
}

func decrypt(text []byte, passphrase func() ([]byte, error)) (PrivateKey, error) {
	if passphrase == nil {
		return PrivateKey{}, fmt.Errorf("%w: the private key is encrypted, and none was given", ErrPassphrase)
	}
	words, err := passphrase()
	if err != nil {
		return PrivateKey{}, fmt.Errorf("read passphrase: %w", err)
	}
	key, err := minisign.DecryptKey(string(words), text)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w, or the private key's file is damaged", ErrPassphrase)
	}
	k := PrivateKey{key}
	return k, k.check()
}

// check refuses a key whose halves do not belong together: what it signs gives
// the private half away, and verifies with no key.
func (k PrivateKey) check() error {
	if !minisign.Verify(k.Public().minisign(), nil, minisign.Sign(k.key, nil)) {
		return fmt.Errorf("%w private key: its public half belongs to another", release.ErrInvalid)
	}
	return nil
}

// Public is the key that verifies what k signs.
func (k PrivateKey) Public() PublicKey {
	public, ok := k.key.Public().(minisign.PublicKey)
	if !ok {
		return PublicKey{}
	}
	return publicKey(public)
}

// File is the text of a secret key file that needs no passphrase.
func (k PrivateKey) File() []byte {
	text, _ := k.key.MarshalText() // it returns no error
	return append(text, '\n')
}

// Encrypt is the text of a secret key file that the passphrase opens. It needs
// 1 GiB of memory and some seconds, which is minisign's own measure against
// guessing. An empty passphrase is refused with release.ErrInvalid.
func (k PrivateKey) Encrypt(passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("%w passphrase: it is empty", release.ErrInvalid)
	}
	text, err := minisign.EncryptKey(string(passphrase), k.key)
	if err != nil {
		return nil, fmt.Errorf("encrypt private key: %w", err)
	}
	return append(text, '\n'), nil
}

// Format implements fmt.Formatter: with whatever verb, it names the key and
// does not show it.
func (k PrivateKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "private key %s", k.Public().ID()) }
