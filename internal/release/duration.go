package release

import (
	"fmt"
	"time"
)

// Duration is a time span that documents write as 30s or 1h30m.
type Duration time.Duration

// String is the span as Go writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	parsed, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%w duration %.40q: want a number with a unit, such as 30s", ErrInvalid, b)
	}
	*d = Duration(parsed)
	return nil
}
