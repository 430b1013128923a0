package peer

import (
	"context"

	"crow/internal/release"
)

// restore fetches an artifact again that was found corrupt, if it belongs to
// an ordered release that is otherwise done with. One that a job is at is looked
// at when that has ended. When ctx has ended, a slot may have neither job nor verdict.
func (a *agent) restore(ctx context.Context, d release.Digest) {
	for _, s := range a.slots {
		if s.order != nil && s.order.Manifest.SHA256 == d && s.isIdle() && s.verdict != nil && s.verdict.Phase != release.Failed {
			a.start(ctx, s, *s.verdict, true)
		}
	}
}

// restoreAll restores every ordered artifact that is not there.
func (a *agent) restoreAll(ctx context.Context) {
	for _, s := range a.slots {
		if s.order != nil && !a.cache.isThere(s.order.Manifest.SHA256) {
			a.restore(ctx, s.order.Manifest.SHA256)
		}
	}
}
