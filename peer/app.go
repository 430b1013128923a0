package peer

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"crow/internal/release"
	"crow/peer/hook"
)

// maxActivation is a deploy's whole time: a hook or a check that is given as
// much can only be late.
const maxActivation = time.Hour

// Defaults of an app's check.
const (
	DefaultCheckTimeout  = 30 * time.Second
	DefaultCheckInterval = time.Second
)

// App is what this host does with an app's releases.
type App struct {
	Hook        []string      `yaml:"hook"`         // absolute program and arguments; empty: none
	HookTimeout time.Duration `yaml:"hook_timeout"` // below 1h, a deploy's whole time; 0: hook.DefaultTimeout
	// Check is asked after the hook, again and again, whether the release is well;
	// a host is active once it has exited 0.
	Check         []string      `yaml:"check"`          // absolute program and arguments; empty: none
	CheckTimeout  time.Duration `yaml:"check_timeout"`  // for it to exit 0; 0: DefaultCheckTimeout
	CheckInterval time.Duration `yaml:"check_interval"` // between two tries; 0: DefaultCheckInterval
	Unpack        bool          `yaml:"unpack"`         // tar, tar.gz and tar.zst into the release's folder
	Keep          Count         `yaml:"keep"`           // releases kept on disk; 0: DefaultKeep
	Limits        hook.Limits   `yaml:"limits"`         // who the hook runs as, and what it may use
}

// validate checks an app's fields; the error begins with the bad one's key.
func (a App) validate() error {
	for _, p := range []struct {
		key  string
		argv []string
	}{{"hook", a.Hook}, {"check", a.Check}} {
		if err := validateProgram(p.argv); err != nil {
			return fmt.Errorf("%s: %w", p.key, err)
		}
	}
	for _, t := range []struct {
		key  string
		time time.Duration
	}{{"hook_timeout", a.HookTimeout}, {"check_timeout", a.CheckTimeout}, {"check_interval", a.CheckInterval}} {
		switch {
		case t.time < 0:
			return fmt.Errorf("%s: %w time %s: it is negative", t.key, release.ErrInvalid, t.time)
		case t.time >= maxActivation:
			return fmt.Errorf("%s: %w time %s: want less than %s, the time that a whole deploy has", t.key, release.ErrInvalid, t.time, maxActivation)
		}
	}
	asks := len(a.Check) > 0 || a.CheckTimeout > 0
	switch c := a.complete(); {
	case asks && c.HookTimeout+c.CheckTimeout >= maxActivation:
		return fmt.Errorf("check_timeout: %w time %s: with hook_timeout %s want less than %s, the time that a whole deploy has",
			release.ErrInvalid, c.CheckTimeout, c.HookTimeout, maxActivation)
	case a.Keep < 0:
		return fmt.Errorf("keep: %w number %d: it is negative", release.ErrInvalid, a.Keep)
	}
	if err := a.Limits.Validate(); err != nil {
		return fmt.Errorf("limits.%w", err)
	}
	return nil
}

// validateProgram checks a program and its arguments, if there is one.
func validateProgram(argv []string) error {
	if len(argv) > 0 && !filepath.IsAbs(argv[0]) {
		return fmt.Errorf("%w program %q: want an absolute path", release.ErrInvalid, argv[0])
	}
	for _, arg := range argv {
		if strings.ContainsRune(arg, 0) { // no program can be given one
			return fmt.Errorf("%w argument %q: it holds a zero byte", release.ErrInvalid, arg)
		}
	}
	return nil
}

// app is what this host does with an app, with what it leaves out filled in; false
// if the config speaks of it neither by name nor by "*".
func (c Config) app(name string) (App, bool) {
	a, ok := c.Apps[name]
	if !ok {
		a, ok = c.Apps[anyApp]
	}
	return a.complete(), ok
}

// complete fills in what a config leaves out.
func (a App) complete() App {
	a.Keep = cmp.Or(a.Keep, DefaultKeep)
	a.HookTimeout = cmp.Or(a.HookTimeout, hook.DefaultTimeout)
	a.CheckTimeout = cmp.Or(a.CheckTimeout, DefaultCheckTimeout)
	a.CheckInterval = cmp.Or(a.CheckInterval, DefaultCheckInterval)
	return a
}
