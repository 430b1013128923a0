package seeder

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
	"unicode/utf8"

	"crow/internal/control"
	"crow/internal/release"
)

// Limits of what a host says of itself. Lengths are in bytes.
const (
	maxBootLen  = 64
	maxCrowLen  = 64
	maxValueLen = 256 // of a label
)

// hello takes in what a host says of itself, and reports whether that changed
// what is known of it.
func (f *fleet) hello(name string, hello control.Hello, now time.Time) (h *host, changed bool, err error) {
	if err := validateHello(name, hello); err != nil {
		return nil, false, err
	}
	h = f.hosts[name]
	switch {
	case h == nil && len(f.hosts) >= maxHosts:
		return nil, false, &control.Error{Code: control.CodeTooLarge,
			Message: fmt.Sprintf("host %s: the fleet is full: %d hosts are known", name, len(f.hosts))}
	case h == nil:
		h = newHost(name)
		f.hosts[name] = h
	default:
		if err := h.claim(hello); err != nil {
			return nil, false, err
		}
	}
	changed = h.introduce(hello)
	f.dirty = f.dirty || changed
	f.heard(h, now)
	return h, changed, nil
}

// claim refuses an agent under a name that another one has.
func (h *host) claim(hello control.Hello) error {
	taken := &control.Error{Code: control.CodeTaken, Hint: "give each host a name of its own in its config"}
	switch {
	case hello.Boot == h.boot:
		return nil
	case hello.Boot == h.former:
		taken.Message = fmt.Sprintf("host name %s is taken: an agent at %s has taken it over", h.Name, h.Address)
		return taken
	case hello.Address != h.Address && h.State == control.HostAlive:
		taken.Message = fmt.Sprintf("host name %s is taken by a live host at %s", h.Name, h.Address)
		return taken
	}
	return nil
}

// introduce takes over a host's word on itself and reports whether it is news.
func (h *host) introduce(hello control.Hello) bool {
	same := hello.Boot == h.boot && hello.Address == h.Address && hello.Crow == h.Crow &&
		maps.Equal(hello.Labels, h.Labels) && slices.Equal(hello.Apps, h.Apps)
	if hello.Boot != h.boot {
		h.former, h.boot, h.spoke, h.anew = h.boot, hello.Boot, false, true
		maps.DeleteFunc(h.leave, func(app string, l leave) bool { return h.jobs[app].Deploy == l.deploy && h.jobs[app].Phase.Ended() })
		clear(h.jobs)
		h.Limits = nil // in effect on the agent before it
	}
	if !same {
		h.Address, h.Crow = hello.Address, hello.Crow
		h.Labels, h.Apps = release.Labels{}, slices.Concat([]string{}, hello.Apps)
		maps.Copy(h.Labels, hello.Labels)
	}
	return !same
}

func validateHello(name string, hello control.Hello) error {
	if err := release.ValidateHost(name); err != nil {
		return err
	}
	ip, err := netip.ParseAddr(hello.Address)
	switch {
	case hello.Boot == "" || len(hello.Boot) > maxBootLen || !utf8.ValidString(hello.Boot):
		return usage("", "host %s: boot: want 1 to %d bytes", name, maxBootLen)
	case err != nil || ip.IsUnspecified():
		return usage("", "host %s: address %.80q is not one that neighbours can reach", name, hello.Address)
	case len(hello.Crow) > maxCrowLen:
		return usage("", "host %s: crow: over %d bytes", name, maxCrowLen)
	case len(hello.Labels) > control.MaxLabels:
		return usage("", "host %s: %d labels, at most %d are allowed", name, len(hello.Labels), control.MaxLabels)
	case len(hello.Apps) > control.MaxApps:
		return usage("", "host %s: %d apps, at most %d are allowed", name, len(hello.Apps), control.MaxApps)
	}
	if err := validateLabels(hello.Labels); err != nil {
		return err
	}
	return validateApps(hello.Apps)
}

func validateLabels(labels release.Labels) error {
	for key, value := range labels {
		if err := release.ValidateLabel(key); err != nil {
			return err
		}
		if len(value) > maxValueLen || release.Printable(value) != value {
			return usage("", "label %s: want at most %d bytes of plain text", key, maxValueLen)
		}
	}
	return nil
}

func validateApps(apps []string) error {
	for _, app := range apps {
		if app == anyApp {
			continue
		}
		if err := release.ValidateApp(app); err != nil {
			return err
		}
	}
	return nil
}

// anyApp in a host's apps stands for every app that its config does not name.
const anyApp = "*"
