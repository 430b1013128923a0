package release

import (
	"fmt"
	"strconv"
	"strings"
)

// Share is a part of a deploy's hosts: a number of them, such as 3, or so many in
// a hundred, such as 10%. The zero Share is no host.
type Share struct {
	n       int
	percent bool
}

// Hosts is a share of n hosts.
func Hosts(n int) Share { return Share{n: n} }

// Percent is a share of p hosts in a hundred.
func Percent(p int) Share { return Share{n: p, percent: true} }

// ParseShare reads what String writes.
func ParseShare(s string) (Share, error) {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil || n < 0 || digits[0] == '+':
		return Share{}, fmt.Errorf("%w share %.40q: want a whole number of hosts, such as 3, or whole per cent of them, such as 10%%", ErrInvalid, s)
	case percent && n > 100:
		return Share{}, fmt.Errorf("%w share %.40q: over 100%%", ErrInvalid, s)
	case n > MaxShare:
		return Share{}, fmt.Errorf("%w share %.40q: over %d hosts", ErrInvalid, s, MaxShare)
	}
	return Share{n: n, percent: percent}, nil
}

// MaxShare is the largest number of hosts in a share.
const MaxShare = 1_000_000

// String is the share as flags and files give it.
func (s Share) String() string {
	if s.percent {
		return strconv.Itoa(s.n) + "%"
	}
	return strconv.Itoa(s.n)
}

// Up is the share of n hosts, rounded up: a wave of 1% is never empty.
func (s Share) Up(n int) int {
	if s.percent {
		return (s.n*n + 99) / 100
	}
	return min(s.n, n)
}

// Down is the share of n hosts, rounded down: no more than 10% of 9 hosts is none.
func (s Share) Down(n int) int {
	if s.percent {
		return s.n * n / 100
	}
	return min(s.n, n)
}

// MarshalText implements encoding.TextMarshaler.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Share) UnmarshalText(b []byte) error {
	parsed, err := ParseShare(string(b))
	*s = parsed
	return err
}
