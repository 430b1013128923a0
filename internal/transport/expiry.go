package transport

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// ExpiryNotice is how long before its end a certificate is complained of: time
// for people who are away for a week.
const ExpiryNotice = 14 * 24 * time.Hour

// expiryEvery is how often the log is told of a certificate that ends soon.
const expiryEvery = 12 * time.Hour

// EndsSoon reports whether a certificate that holds until then is to be
// complained of; a zero time is none.
func EndsSoon(expires, now time.Time) bool {
	return !expires.IsZero() && expires.Sub(now) < ExpiryNotice
}

// WatchExpiry writes to the log, from two weeks ahead, that the host's own
// certificate ends, until ctx does. It returns nil. One that is taken up meanwhile is
// complained of at once, see keys.renew.
func (s Security) WatchExpiry(ctx context.Context, log *zap.Logger) error {
	tick := time.NewTicker(expiryEvery)
	defer tick.Stop()
	for {
		warnOfEnd(log, s.Identity(), time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// warnOfEnd complains of a certificate that ends soon.
func warnOfEnd(log *zap.Logger, id Identity, now time.Time) {
	if EndsSoon(id.NotAfter, now) {
		log.Warn("certificate ends soon: put a new one in its place, it is read without a restart",
			zap.String("name", id.Name), zap.Time("expires", id.NotAfter))
	}
}
