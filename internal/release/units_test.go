package release

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	tests := []struct {
		in   string
		want Size
		ok   bool
	}{
		{"0", 0, true}, {"0B", 0, true}, {"512", 512, true}, {"512B", 512, true}, {"1B", 1, true},
		{"64KiB", 64 << 10, true}, {"64MiB", 64 << 20, true}, {"3GiB", 3 << 30, true}, {"1TiB", 1 << 40, true},
		{"1kB", 1000, true}, {"1KB", 1000, true}, {"2MB", 2e6, true}, {"1.5GB", 15e8, true}, {"1TB", 1e12, true},
		{"0.5KiB", 512, true}, {" 5 MiB ", 5 << 20, true}, {"1e3", 1000, true}, {"8388607TiB", 8388607 << 40, true},
		{"", 0, false}, {"MiB", 0, false}, {"64M", 0, false}, {"64mib", 0, false}, {"64Mib", 0, false}, {"sixty", 0, false},
		{"-1", 0, false}, {"-1MiB", 0, false}, {"1 2", 0, false}, {"1KiBB", 0, false}, {"1MiB/s", 0, false}, {"1,5GB", 0, false},
		{"NaN", 0, false}, {"inf", 0, false}, {"infB", 0, false}, {"1e400", 0, false}, {"8388608TiB", 0, false}, {"1e19", 0, false},
		{"0.5", 0, false}, {"0.0001KiB", 0, false},
	}
	for _, tt := range tests {
		got, err := ParseSize(tt.in)
		if got != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %d, error %v", tt.in, got, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(tt.in)); again != got || (err == nil) != tt.ok {
			t.Errorf("%q: as text %d, error %v", tt.in, again, err)
		}
	}
}

func TestParseRate(t *testing.T) {
	tests := []struct {
		in   string
		want Rate
		ok   bool
	}{
		{"200MiB/s", 200 << 20, true}, {"1/s", 1, true}, {"0/s", 0, true}, {"0", 0, true}, {" 1.5MB/s ", 15e5, true},
		{"200MiB", 0, false}, {"/s", 0, false}, {"", 0, false}, {"fast", 0, false}, {"1Mbit/s", 0, false}, {"-1/s", 0, false}, {"0.1B/s", 0, false},
	}
	for _, tt := range tests {
		got, err := ParseRate(tt.in)
		if got != tt.want || (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %d, error %v", tt.in, got, err)
		}
		var again Rate
		if err := again.UnmarshalText([]byte(tt.in)); again != got || (err == nil) != tt.ok {
			t.Errorf("%q: as text %d, error %v", tt.in, again, err)
		}
	}
}

func TestSizeString(t *testing.T) {
	tests := map[Size]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 64 << 20: "64 MiB", 431_996_928: "412 MiB",
		1<<20 - 1: "1.0 MiB", 1<<20 - 600: "1023 KiB", 1 << 40: "1 TiB", 5 << 50: "5120 TiB", -1536: "-1.5 KiB", math.MaxInt64: "8388608 TiB",
	}
	for s, want := range tests {
		if got := s.String(); got != want {
			t.Errorf("%d: %q, want %q", int64(s), got, want)
		}
	}
	if got := Rate(200 << 20).String(); got != "200 MiB/s" {
		t.Errorf("rate %q", got)
	}
}

// What people are shown can be typed in again, within what rounding takes.
func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Size(rapid.Int64Range(0, MaxArtifactSize).Draw(t, "size"))
		got, err := ParseSize(want.String())
		if off := math.Abs(float64(got - want)); err != nil || off > 0.05*float64(want) {
			t.Errorf("%d is %s, which is %d; error %v", int64(want), want, int64(got), err)
		}
		if rate, err := ParseRate(Rate(want).String()); err != nil || rate != Rate(got) {
			t.Errorf("rate %d, error %v", rate, err)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"64MiB", "1.5GB", "-1", "1e400", "0x1p-2B", "NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if n < 0 || err != nil && n != 0 {
			t.Errorf("%q: %d, error %v", s, n, err)
		}
		r, rateErr := ParseRate(s + "/s")
		if err == nil && (rateErr != nil || int64(r) != int64(n)) && s != "" {
			t.Errorf("%q: size %d, rate %d, error %v", s, n, r, rateErr)
		}
	})
}

// TestApart holds that a size which is more than another looks so.
func TestApart(t *testing.T) {
	const mib = 1 << 20
	for _, test := range []struct {
		more, less int64
		want       string
	}{
		{mib + 1, mib, "1048577 B > 1048576 B"},
		{1600 << 20, 1599 << 20, "1677721600 B > 1676673024 B"},
		{5 * mib, mib, "5 MiB > 1 MiB"},
		{mib + mib/10, mib, "1.1 MiB > 1 MiB"},
		{12, 11, "12 B > 11 B"},
		{mib, mib, "1 MiB > 1 MiB"},
	} {
		in := Apart(test.more, test.less)
		if got := in(test.more) + " > " + in(test.less); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
