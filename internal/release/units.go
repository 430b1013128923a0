package release

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that is written 512, 64MiB or 1.5GB in configs and
// flags.
type Size int64

// Rate is a number of bytes a second, written 200MiB/s; 0 is no limit.
type Rate int64

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseSize reads a size such as 64MiB.
func ParseSize(s string) (Size, error) {
	number, scale := strings.TrimSpace(s), 1.0
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, scale = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	// What is above 0 but below a byte must not become 0, which is no limit.
	if err != nil || n < 0 || math.IsNaN(n) || n*scale >= math.MaxInt64 || n > 0 && n*scale < 1 {
		return 0, fmt.Errorf("%w size %q: want a number with a unit, such as 64MiB", ErrInvalid, s)
	}
	return Size(n * scale), nil
}

// ParseRate reads a rate such as 200MiB/s, or 0.
func ParseRate(s string) (Rate, error) {
	size, ok := strings.CutSuffix(strings.TrimSpace(s), "/s")
	n, err := ParseSize(size)
	if err != nil || !ok && n != 0 {
		return 0, fmt.Errorf("%w rate %q: want a number with a unit, such as 200MiB/s", ErrInvalid, s)
	}
	return Rate(n), nil
}

// String is the size for people, such as 64 MiB or 1.5 GiB.
func (s Size) String() string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	n, i := float64(s), 0
	for math.Abs(n) >= 1023.5 && i < len(units)-1 { // 1024 of a unit, once rounded
		n, i = n/1024, i+1
	}
	if i == 0 || n >= 100 || n == math.Trunc(n) {
		return fmt.Sprintf("%.0f %s", n, units[i])
	}
	return fmt.Sprintf("%.1f %s", n, units[i])
}

// Apart writes the sizes of a sentence which says that one is more than another: for
// people, as String does, unless rounding made those two look the same; then in bytes.
func Apart(more, less int64) func(bytes int64) string {
	round := func(bytes int64) string { return strings.Replace(Size(bytes).String(), ".0 ", " ", 1) }
	if more != less && round(more) == round(less) {
		return func(bytes int64) string { return fmt.Sprintf("%d B", bytes) }
	}
	return func(bytes int64) string { return Size(bytes).String() }
}

// String is the rate for people.
func (r Rate) String() string { return Size(r).String() + "/s" }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	v, err := ParseSize(string(b))
	*s = v
	return err
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(b []byte) error {
	v, err := ParseRate(string(b))
	*r = v
	return err
}
