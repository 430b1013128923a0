package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"crow/internal/release"
)

// scenario is one question: so large a file, to so many hosts, over such links.
type scenario struct {
	Hosts int     `json:"hosts"`
	Size  int64   `json:"bytes"`
	Rate  bitrate `json:"link_bits_per_second"` // 0: links are not shaped
}

// presets are sets of scenarios by name. equal is the table of figures that
// crow has to reach: hosts with equal links, and two runs that only the machine
// limits.
var presets = map[string][]scenario{
	"equal": {
		{Hosts: 16, Size: 64 << 20, Rate: 50e6},
		{Hosts: 48, Size: 16 << 20, Rate: 5e6},
		{Hosts: 8, Size: 256 << 20, Rate: 100e6},
		{Hosts: 4, Size: 1 << 30},
		{Hosts: 50, Size: 1 << 20},
	},
}

func (s scenario) String() string {
	hosts := "hosts"
	if s.Hosts == 1 {
		hosts = "host"
	}
	return fmt.Sprintf("%d %s, %s, %s", s.Hosts, hosts, release.Size(s.Size), s.Rate)
}

// ideal is what the file takes over one link that is all its own; 0 if links
// are not shaped.
func (s scenario) ideal() time.Duration {
	if s.Rate == 0 {
		return 0
	}
	return time.Duration(float64(s.Size) * 8 / float64(s.Rate) * float64(time.Second))
}

// scenariosOf are a preset's scenarios, or the one that the flags make.
func scenariosOf(raw rawOptions, given map[string]bool) ([]scenario, error) {
	if raw.preset != "" {
		if given["hosts"] || given["size"] || given["rate"] {
			return nil, errors.New("--preset names the scenarios: leave out --hosts, --size and --rate")
		}
		s, ok := presets[raw.preset]
		if !ok {
			return nil, fmt.Errorf("--preset %q: want equal", raw.preset)
		}
		return s, nil
	}
	size, err := release.ParseSize(raw.size)
	if err != nil || size == 0 {
		return nil, fmt.Errorf("--size %q: want a size such as 64MiB", raw.size)
	}
	rate, err := parseBitrate(raw.rate)
	if err != nil {
		return nil, fmt.Errorf("--rate: %w", err)
	}
	if raw.hosts < 1 || raw.hosts > maxHosts {
		return nil, fmt.Errorf("--hosts %d: want 1 to %d", raw.hosts, maxHosts)
	}
	return []scenario{{Hosts: raw.hosts, Size: int64(size), Rate: rate}}, nil
}

// bitrate is a link's rate in bits a second; 0 is a link that is not shaped.
type bitrate int64

var bitrateUnits = []struct {
	suffix string
	bits   float64
}{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// minBitrate keeps a tenth of a rate, which --uneven gives to one host, above
// what tc takes for no rate at all.
const minBitrate = 10_000

// parseBitrate reads a rate as tc writes it, such as 50mbit, or none.
func parseBitrate(s string) (bitrate, error) {
	if s == "none" {
		return 0, nil
	}
	for _, u := range bitrateUnits {
		number, ok := strings.CutSuffix(strings.ToLower(s), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if bits := n * u.bits; err == nil && bits >= minBitrate && bits <= 1e12 {
			return bitrate(bits), nil
		}
		break
	}
	return 0, fmt.Errorf("%q: want a rate such as 50mbit or 1gbit, or none", s)
}

// tc is the rate as tc takes it.
func (r bitrate) tc() string { return strconv.FormatInt(int64(r), 10) + "bit" }

// String is the rate for people.
func (r bitrate) String() string {
	if r == 0 {
		return "links not shaped"
	}
	for _, u := range bitrateUnits {
		if n := float64(r) / u.bits; n >= 1 {
			return fmt.Sprintf("%g %s/s links", n, strings.ToUpper(u.suffix[:1])+u.suffix[1:])
		}
	}
	return r.tc()
}
