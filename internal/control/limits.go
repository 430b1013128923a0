package control

import (
	"fmt"

	"crow/internal/release"
)

// LimitSource is where a limit comes from.
type LimitSource string

// The sources. An order stands above the node's own config until it is reset.
const (
	LimitConfig LimitSource = "config"
	LimitOrder  LimitSource = "order"
)

// Limit is the limit in effect on one direction of a node's transfers.
type Limit struct {
	Rate int64       `json:"rate"` // bytes a second; 0: no limit
	From LimitSource `json:"from"`
}

// Limits are those in effect on a node. A seeder has no download.
type Limits struct {
	Upload   Limit  `json:"upload"`
	Download *Limit `json:"download"`
}

// WantedLimits are the limits that a node is ordered to have, whatever its
// config says: desired state, so that the same twice changes nothing. Rates are
// in bytes a second; 0 is no limit, and null leaves the direction to the config.
// The values that these point to never change.
type WantedLimits struct {
	Upload   *int64 `json:"upload"`
	Download *int64 `json:"download"`
}

// Validate refuses rates below 0 and names the direction.
func (w WantedLimits) Validate() error {
	if err := validateRate("upload", w.Upload); err != nil {
		return err
	}
	return validateRate("download", w.Download)
}

func validateRate(direction string, rate *int64) error {
	if rate != nil && *rate < 0 {
		return fmt.Errorf("%s: %w rate %d: want bytes a second, or 0 for no limit", direction, release.ErrInvalid, *rate)
	}
	return nil
}

// IsZero reports whether nothing is ordered.
func (w WantedLimits) IsZero() bool { return w.Upload == nil && w.Download == nil }

// Equal reports whether both order the same.
func (w WantedLimits) Equal(o WantedLimits) bool {
	return sameRate(w.Upload, o.Upload) && sameRate(w.Download, o.Download)
}

func sameRate(a, b *int64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Over returns the limits of a node whose config has the given rates.
func (w WantedLimits) Over(upload, download release.Rate) Limits {
	down := over(w.Download, download)
	return Limits{Upload: over(w.Upload, upload), Download: &down}
}

func over(ordered *int64, config release.Rate) Limit {
	if ordered != nil {
		return Limit{Rate: *ordered, From: LimitOrder}
	}
	return Limit{Rate: int64(config), From: LimitConfig}
}

// Confirmed reports whether a node that says it has the limits in does what is
// wanted. One that never said, which is nil, can only be right when nothing is.
func (w WantedLimits) Confirmed(in *Limits) bool {
	if in == nil {
		return w.IsZero()
	}
	return confirmed(w.Upload, &in.Upload) && confirmed(w.Download, in.Download)
}

func confirmed(ordered *int64, in *Limit) bool {
	switch {
	case in == nil:
		return ordered == nil
	case ordered == nil:
		return in.From != LimitOrder
	}
	return *in == Limit{Rate: *ordered, From: LimitOrder}
}

// Validate refuses what no node reports: rates below 0 and unknown sources.
func (l Limits) Validate() error {
	if err := l.Upload.validate("upload"); err != nil || l.Download == nil {
		return err
	}
	return l.Download.validate("download")
}

func (l Limit) validate(direction string) error {
	if l.From != LimitConfig && l.From != LimitOrder {
		return fmt.Errorf("%s: %w source of a limit %.40q", direction, release.ErrInvalid, string(l.From))
	}
	return validateRate(direction, &l.Rate)
}

// ChangeLimits changes what is wanted of a node. A direction that is null stays
// as it is; Reset gives both back to the config, and goes alone.
type ChangeLimits struct {
	Upload   *int64 `json:"upload,omitempty"`   // bytes a second; 0: no limit
	Download *int64 `json:"download,omitempty"` // bytes a second; 0: no limit
	Reset    bool   `json:"reset,omitempty"`
}

// Validate refuses a change that changes nothing, or means two things.
func (c ChangeLimits) Validate() error {
	wanted := WantedLimits{Upload: c.Upload, Download: c.Download}
	switch {
	case c.Reset && !wanted.IsZero():
		return fmt.Errorf("%w change of limits: a reset goes without rates", release.ErrInvalid)
	case !c.Reset && wanted.IsZero():
		return fmt.Errorf("%w change of limits: want an upload, a download or a reset", release.ErrInvalid)
	}
	return wanted.Validate()
}

// Apply returns what is wanted after the change.
func (c ChangeLimits) Apply(w WantedLimits) WantedLimits {
	if c.Reset {
		return WantedLimits{}
	}
	if c.Upload != nil {
		w.Upload = c.Upload
	}
	if c.Download != nil {
		w.Download = c.Download
	}
	return w
}

// ChangeHostLimits is a ChangeLimits for the hosts that the selector matches
// now. Those that join later keep what their config says.
type ChangeHostLimits struct {
	release.Selector
	ChangeLimits
}

// Validate checks the expressions and the change.
func (c ChangeHostLimits) Validate() error {
	if err := c.Selector.Validate(); err != nil {
		return err
	}
	return c.ChangeLimits.Validate()
}
