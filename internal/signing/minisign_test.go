package signing

import (
	"errors"
	"strings"
	"testing"
)

// What crow makes, minisign takes.
func TestMinisignTakesOurs(t *testing.T) {
	dir := t.TempDir()
	minisign := minisignIn(t, dir)
	k := newKey(t)
	message := []byte("a manifest\x00\xff")
	write(t, dir, "ours.pub", string(k.Public().File()))
	write(t, dir, "ours.key", string(k.File()))
	write(t, dir, "m", string(message))
	write(t, dir, "m.minisig", Sign(k, message, "web@1.42.0"))
	for _, key := range [][]string{{"-p", "ours.pub"}, {"-P", k.Public().String()}} {
		out, err := minisign("", append([]string{"-V", "-H", "-m", "m"}, key...)...)
		if err != nil || !strings.Contains(out, "Trusted comment: web@1.42.0") {
			t.Errorf("with %q: %s, error %v", key, out, err)
		}
	}
	write(t, dir, "m", "another manifest")
	if out, err := minisign("", "-V", "-m", "m", "-p", "ours.pub"); err == nil {
		t.Errorf("another message: %s", out)
	}
	if out, err := minisign("", "-S", "-m", "m", "-s", "ours.key"); err != nil {
		t.Fatalf("%s, error %v", out, err)
	}
	trust := Trust{Keys: []PublicKey{k.Public()}, Threshold: 1}
	if err := trust.Verify([]byte("another manifest"), []string{read(t, dir, "m.minisig")}); err != nil {
		t.Error(err)
	}
}

// What minisign makes, crow takes; but not the older form of a signature.
func TestWeTakeMinisigns(t *testing.T) {
	dir := t.TempDir()
	minisign := minisignIn(t, dir)
	if out, err := minisign("", "-G", "-W", "-p", "their.pub", "-s", "their.key"); err != nil {
		t.Fatalf("%s, error %v", out, err)
	}
	public, err := ParsePublicKey(read(t, dir, "their.pub"))
	if err != nil || !strings.Contains(read(t, dir, "their.pub"), "public key "+public.ID()+"\n") || read(t, dir, "their.pub") != string(public.File()) {
		t.Fatalf("key %s, error %v", public.ID(), err)
	}
	private, err := ParsePrivateKey([]byte(read(t, dir, "their.key")), never)
	if err != nil || private.Public() != public {
		t.Fatalf("%v, error %v", private, err)
	}
	write(t, dir, "m", theirMessage)
	write(t, dir, "m.minisig", Sign(private, []byte(theirMessage), "ours"))
	if out, err := minisign("", "-V", "-m", "m", "-p", "their.pub"); err != nil {
		t.Errorf("%s, error %v", out, err)
	}
	trust := Trust{Keys: []PublicKey{public}, Threshold: 1}
	if out, err := minisign("", "-S", "-m", "m", "-s", "their.key"); err != nil {
		t.Fatalf("%s, error %v", out, err)
	}
	if err := trust.Verify([]byte(theirMessage), []string{read(t, dir, "m.minisig")}); err != nil {
		t.Error(err)
	}
	if out, err := minisign("", "-S", "-l", "-m", "m", "-s", "their.key"); err != nil {
		t.Fatalf("%s, error %v", out, err)
	}
	if err := trust.Verify([]byte(theirMessage), []string{read(t, dir, "m.minisig")}); !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), "older form") {
		t.Errorf("the older form: %v", err)
	}
}

// Encrypted keys go both ways. Making one is slow on purpose, as each guess is;
// theirs was made at less cost.
func TestMinisignAndEncryptedKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("encrypting a key takes seconds and 1 GiB of memory")
	}
	dir := t.TempDir()
	minisign := minisignIn(t, dir)
	ours := newKey(t)
	text, err := ours.Encrypt([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ParsePrivateKey([]byte(theirEncrypted), answer(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "m", theirMessage)
	for file, k := range map[string]PrivateKey{string(text): ours, theirEncrypted: theirs} {
		write(t, dir, "k", file)
		if out, err := minisign(passphrase+"\n", "-S", "-m", "m", "-s", "k"); err != nil {
			t.Fatalf("%v: %s, error %v", k, out, err)
		}
		if err := (Trust{[]PublicKey{k.Public()}, 1}).Verify([]byte(theirMessage), []string{read(t, dir, "m.minisig")}); err != nil {
			t.Error(err)
		}
	}
}
