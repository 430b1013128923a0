package seeder

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// Limits are desired state, as orders are: each host's orders carry what is
// wanted of it. They are kept with the host, so that a host which is forgotten
// takes them with it, and what is kept stays bounded.

// changeLimits changes what is wanted of the hosts that a selector matches, and
// returns them. Hosts that are not there are included: they are told when they
// come back. Nobody is told before it is on disk.
func (b *books) changeLimits(req control.ChangeHostLimits, now time.Time) ([]control.Host, error) {
	hosts, err := b.limited(req.Selector)
	if err != nil {
		return nil, err
	}
	before := map[*host]control.WantedLimits{} // of those that change
	for _, h := range hosts {
		if wanted := req.Apply(h.Wanted); !wanted.Equal(h.Wanted) {
			before[h] = h.Wanted
			h.Wanted = wanted
		}
	}
	if len(before) > 0 || b.fleet.dirty { // dirty: what the disk has may be of a change that failed
		err = b.fleet.write(now)
	}
	if err != nil {
		for h, wanted := range before {
			h.Wanted = wanted
		}
		return nil, err
	}
	for h := range before {
		b.tell(h, now)
	}
	if len(before) > 0 {
		b.log.Info("limits of hosts changed", zap.Stringer("target", req.Selector), zap.Int("hosts", len(before)),
			zap.Int64p("upload", req.Upload), zap.Int64p("download", req.Download), zap.Bool("reset", req.Reset))
	}
	list := make([]control.Host, 0, len(hosts))
	for _, h := range hosts {
		list = append(list, h.Host)
	}
	return list, nil
}

// limited returns the hosts whose limits a selector means.
func (b *books) limited(s release.Selector) ([]*host, error) {
	if len(s.Targets) == 0 {
		return nil, usage("--target 'name=*' is every host", "change of limits: no target")
	}
	if err := b.requireEach(s.Targets); err != nil {
		return nil, err
	}
	hosts := slices.DeleteFunc(b.fleet.sorted(), func(h *host) bool { return !s.Match(h.Name, h.Labels) })
	if len(hosts) == 0 {
		return nil, b.matchesNone(s.String())
	}
	return hosts, nil
}

// reportsLimits takes over what a host says is in effect.
func (f *fleet) reportsLimits(h *host, in *control.Limits) {
	if !sameLimits(h.Limits, in) {
		h.Limits, f.dirty = in, true
	}
}

func sameLimits(a, b *control.Limits) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Download == nil || b.Download == nil {
		return a.Upload == b.Upload && a.Download == b.Download
	}
	return a.Upload == b.Upload && *a.Download == *b.Download
}

// uplinkName is the document of what is wanted of the seeder itself.
const uplinkName = "seeder"

// uplink is the part of the books about what the seeder itself sends.
type uplink struct {
	*env
	wanted control.WantedLimits
	config release.Rate // the config's upload, in bytes a second
	apply  func(upload, download release.Rate)
}

func loadUplink(e *env) (*uplink, error) {
	u := &uplink{env: e, apply: func(_, _ release.Rate) {}}
	if err := u.get(kindLimits, uplinkName, &u.wanted); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return u, u.wanted.Validate()
}

// use says what the config's limit is and who keeps to the limits, who is told
// at once.
func (u *uplink) use(config release.Rate, apply func(upload, download release.Rate)) {
	u.config, u.apply = config, apply
	u.apply(release.Rate(u.limits().Upload.Rate), 0)
}

// limits are those in effect. A seeder fetches nothing.
func (u *uplink) limits() control.Limits {
	l := u.wanted.Over(u.config, 0)
	l.Download = nil
	return l
}

// change is in effect when it is on disk.
func (u *uplink) change(req control.ChangeLimits) (control.Limits, error) {
	if req.Download != nil {
		return control.Limits{}, usage("", "limits of the seeder: it downloads nothing that a limit could be on")
	}
	wanted := req.Apply(u.wanted)
	if err := u.put(kindLimits, uplinkName, wanted); err != nil {
		return control.Limits{}, err
	}
	u.wanted = wanted
	l := u.limits()
	u.apply(release.Rate(l.Upload.Rate), 0)
	u.log.Info("limits of the seeder changed", zap.Int64("upload", l.Upload.Rate), zap.String("from", string(l.Upload.From)))
	return l, nil
}
