package signing

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What minisign 0.11 made: a key pair of no use but here, and its signature of
// "hello\n". The encrypted file holds the same key at libsodium's least cost.
const (
	theirID        = "7CDAB558460002DF"
	theirLine      = "RWTfAgBGWLXafMMSBqSRB1eeHYk1275XOUxqrvwUs9oxpautqxuuVA2x"
	theirPublic    = "untrusted comment: minisign public key " + theirID + "\n" + theirLine + "\n"
	theirPrivate   = "untrusted comment: minisign encrypted secret key\nRWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3wIARli12nzIseoTjVk1J4McyAF8OVOXS9JamfcH9sUYt/9bxCBrY8MSBqSRB1eeHYk1275XOUxqrvwUs9oxpautqxuuVA2xAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	theirEncrypted = "untrusted comment: minisign encrypted secret key\nRWRTY0IyAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8AgAAAAAAAAAAAAAEAAAAArfEemsiMjLqqRCWB0wIvIDtQ6az+tXb+XqMgyN6e7RF41mASea6+nXmwVchuh+4dtkc5ykn9+1YktRZZNg/+7v7wpJXF565+dYfFK2MmoFK6x8t4n9g/BwD4TPDrOUbDGF4d4HvgwrY=\n"
	passphrase     = "open sesame"
	theirMessage   = "hello\n"
	theirSignature = "untrusted comment: someone else wrote this\n" +
		"RUTfAgBGWLXafMrAX8BJEbU5uP94iJAEfCkL5sOL31GQRAyB8b9QeqyBPbDsN9030Cm8Y+gV3Ox3S8H8aUqgiQKqQtJ9RXNTNAg=\n" +
		"trusted comment: a comment\n" +
		"wPDtW7ssvkcBYIFmuieVopwezUhp8v0J+kkzr9NyNBUFxKs/FxO+tp29XH6DPyZnDSGURVkqI8FIrjOPyCYiAA==\n"
	theirOlderForm = "untrusted comment: signature from minisign secret key\n" + // of the same message, made with -l
		"RWTfAgBGWLXafODnCSVQDsQJ3OY/X3xtwicebgUL41/rC+NWr7pYRSb3S2uvDQObOrIqmkkrWsjuFCbDfPNxkjVIj69Dfo+IuwQ=\n" +
		"trusted comment: timestamp:1795374561\tfile:m\n" +
		"hFHo09Ubh7pfrWFIDJhObGMO5VUN6dikRDVfTWmB/uuXPLSQx7ru5fpzqlcMDrn3V2d7bUPo3NrwFxKn2klRCg==\n"
)

func newKey(t testing.TB) PrivateKey {
	t.Helper()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newKeys(t testing.TB, n int) (private []PrivateKey, public []PublicKey) {
	t.Helper()
	for range n {
		k := newKey(t)
		private, public = append(private, k), append(public, k.Public())
	}
	return private, public
}

func answer(words string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(words), nil }
}

func never() ([]byte, error) { return nil, errors.New("nobody is there") }

// minisignIn returns a function that runs minisign in a folder, with words on
// its standard input. Where it is not installed, the test is skipped.
func minisignIn(t *testing.T, dir string) func(words string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("minisign")
	if err != nil {
		t.Skip("minisign is not installed: nothing was tried with it")
	}
	return func(words string, args ...string) (string, error) {
		cmd := exec.Command(path, args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(words)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
