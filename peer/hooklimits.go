package peer

import (
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"crow/peer/hook"
)

// checkHooks asks this host whether hooks can run as their limits say: a user
// that is not there is better found at the start than in a deploy. The error is
// release.ErrInvalid and names the key.
func (c Config) checkHooks(l layout) error {
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		if err := c.Apps[name].Limits.Check(l.apps()); err != nil {
			return fmt.Errorf("apps.%s.limits.%w", name, err)
		}
	}
	return nil
}

// openCgroup prepares for the limits of all hooks. On a host where they cannot
// be held hooks run without, which is said aloud.
func (c Config) openCgroup(log *zap.Logger) *hook.Cgroup {
	var all []hook.Limits
	for _, app := range c.Apps {
		all = append(all, app.Limits)
	}
	g, err := hook.OpenCgroup(log, all...)
	if err != nil {
		log.Warn("limits on memory and processes of hooks do not hold on this host: hooks run without", zap.Error(err))
		return nil
	}
	return g
}
