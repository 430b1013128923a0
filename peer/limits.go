package peer

import (
	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
)

// limit has the swarm keep to what is ordered over the config's own limits. With
// a seeder that knows of no such orders, which is nil, the config's hold and
// nothing is said of them.
func (a *agent) limit(wanted *control.WantedLimits) {
	was := inEffect(a.cfg.Limits, a.limits)
	a.limits = nil
	if wanted != nil {
		l := wanted.Over(a.cfg.Limits.Upload, a.cfg.Limits.Download)
		a.limits = &l
	}
	now := inEffect(a.cfg.Limits, a.limits)
	a.swarm.SetLimits(now.Upload, now.Download)
	if was != now {
		a.log.Info("limits changed", zap.Int64("upload", int64(now.Upload)), zap.Int64("download", int64(now.Download)))
	}
}

func inEffect(config Limits, l *control.Limits) Limits {
	if l == nil {
		return config
	}
	return Limits{Upload: release.Rate(l.Upload.Rate), Download: release.Rate(l.Download.Rate)}
}

// saneLimits drops limits that no well-meaning seeder orders: the config's hold
// then.
func saneLimits(wanted *control.WantedLimits, log *zap.Logger) *control.WantedLimits {
	if wanted == nil {
		return nil
	}
	if err := wanted.Validate(); err != nil {
		log.Error("ordered limits are passed over", zap.Error(err))
		return &control.WantedLimits{}
	}
	return wanted
}
