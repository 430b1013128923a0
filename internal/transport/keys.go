package transport

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
)

// lookEvery is how often the files are looked at at most, while handshakes
// happen: a renewed certificate is in use within that.
const lookEvery = 3 * time.Second

// material is what one handshake works with.
type material struct {
	trust *trust
	own   own
}

// own is the host's own certificate.
type own struct {
	cert *tls.Certificate
	id   Identity
	path string
}

// keys holds what the config's files say and takes up their changes.
type keys struct {
	files TLS
	log   *zap.Logger
	clock func() time.Time
	every time.Duration
	now   atomic.Pointer[material]

	looking sync.Mutex // held by who looks; the others go on with what there is
	looked  time.Time
	seen    []fs.FileInfo // of the files when they were read; nil: read them anyway
	wrong   string        // what was last said of files that can't be used
}

func openKeys(files TLS, log *zap.Logger, clock func() time.Time) (*keys, error) {
	k := &keys{files: files, log: log, clock: clock, every: lookEvery}
	seen, err := k.files.stat()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	t, trustErr := k.readTrust()
	o, ownErr := k.readOwn()
	err = cmp.Or(trustErr, ownErr)
	if err == nil {
		err = o.goodFor(t, clock())
	}
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	k.seen, k.looked = seen, clock()
	k.now.Store(&material{t, o})
	return k, nil
}

// current returns the newest material, having looked for newer if it is time.
func (k *keys) current() *material {
	if k.looking.TryLock() {
		defer k.looking.Unlock()
		if now := k.clock(); now.Sub(k.looked) >= k.every {
			k.looked = now
			k.look()
		}
	}
	return k.now.Load()
}

// look reads the files again if one has changed, or if something was wrong with
// them the last time: a certificate and its key don't change at once. What
// can't be used leaves the old in use; a list of revoked certificates does not
// wait for the host's own.
func (k *keys) look() {
	seen, err := k.files.stat()
	if err == nil && unchanged(k.seen, seen) {
		return
	}
	m := *k.now.Load()
	if err == nil {
		m, err = k.renew(m)
	}
	k.seen = seen
	if err != nil {
		k.seen = nil
		if err.Error() != k.wrong {
			k.log.Error("could not take up changed tls files", zap.Error(err))
		}
		k.wrong = err.Error()
		return
	}
	k.wrong = ""
	k.log.Info("tls files taken up", zap.Time("expires", m.own.id.NotAfter), zap.Int("revoked", len(m.trust.revoked)))
}

// renew takes up of the files what is good, and puts it to use.
func (k *keys) renew(m material) (material, error) {
	t, trustErr := k.readTrust()
	if trustErr == nil {
		trustErr = t.follows(m.trust)
	}
	if trustErr == nil {
		m.trust = t
	}
	o, ownErr := k.readOwn()
	if ownErr == nil {
		ownErr = o.goodFor(m.trust, k.clock())
	}
	if ownErr == nil {
		if !o.cert.Leaf.Equal(m.own.cert.Leaf) {
			warnOfEnd(k.log, o.id, k.clock()) // the next look at it may be half a day away
		}
		m.own = o
	}
	k.now.Store(&m)
	return m, errors.Join(trustErr, ownErr)
}

func (k *keys) readTrust() (*trust, error) {
	ca, err := readFile("ca", k.files.CA)
	if err != nil {
		return nil, err
	}
	var crl []byte
	if k.files.CRL != "" {
		if crl, err = readFile("crl", k.files.CRL); err != nil {
			return nil, err
		}
	}
	t, err := parseTrust(ca, crl)
	if err != nil {
		return nil, fmt.Errorf("%w %w", release.ErrInvalid, err)
	}
	return t, nil
}

func (k *keys) readOwn() (own, error) {
	cert, err := readFile("cert", k.files.Cert)
	if err != nil {
		return own{}, err
	}
	key, err := readFile("key", k.files.Key)
	if err != nil {
		return own{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return own{}, fmt.Errorf("%w cert %s and key %s: %w", release.ErrInvalid, k.files.Cert, k.files.Key, err)
	}
	return own{&pair, identify(pair.Leaf), k.files.Cert}, nil
}

// goodFor reports why the fleet would not take the host's own certificate.
func (o own) goodFor(t *trust, now time.Time) error {
	w := want{fleet: o.id.Fleet}
	for _, w.use = range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := t.check(o.cert.Leaf, w, now); err != nil {
			return fmt.Errorf("%w cert %s: %w", release.ErrInvalid, o.path, err)
		}
	}
	return nil
}
