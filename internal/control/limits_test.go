package control

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"crow/internal/release"
)

func rate(n int64) *int64 { return &n }

func TestLimitsOverTheConfig(t *testing.T) {
	for _, c := range []struct {
		wanted   WantedLimits
		up, down Limit
	}{
		{WantedLimits{}, Limit{10, LimitConfig}, Limit{0, LimitConfig}},
		{WantedLimits{Upload: rate(5)}, Limit{5, LimitOrder}, Limit{0, LimitConfig}},
		{WantedLimits{Upload: rate(0)}, Limit{0, LimitOrder}, Limit{0, LimitConfig}},
		{WantedLimits{Upload: rate(10), Download: rate(7)}, Limit{10, LimitOrder}, Limit{7, LimitOrder}},
	} {
		if got := c.wanted.Over(10, 0); got.Upload != c.up || *got.Download != c.down {
			t.Errorf("%+v: %+v, %+v", c.wanted, got.Upload, *got.Download)
		}
	}
}

func TestChangeLimits(t *testing.T) {
	both := WantedLimits{Upload: rate(1), Download: rate(2)}
	for _, c := range []struct {
		change ChangeLimits
		before WantedLimits
		want   WantedLimits
	}{
		{ChangeLimits{Upload: rate(5)}, WantedLimits{}, WantedLimits{Upload: rate(5)}},
		{ChangeLimits{Upload: rate(5)}, both, WantedLimits{Upload: rate(5), Download: rate(2)}},
		{ChangeLimits{Download: rate(0)}, both, WantedLimits{Upload: rate(1), Download: rate(0)}},
		{ChangeLimits{Upload: rate(3), Download: rate(4)}, both, WantedLimits{Upload: rate(3), Download: rate(4)}},
		{ChangeLimits{Reset: true}, both, WantedLimits{}},
		{ChangeLimits{Reset: true}, WantedLimits{}, WantedLimits{}},
	} {
		if err := c.change.Validate(); err != nil {
			t.Errorf("%+v: %v", c.change, err)
		}
		if got := c.change.Apply(c.before); !got.Equal(c.want) {
			t.Errorf("%+v to %+v: got %+v, want %+v", c.change, c.before, got, c.want)
		}
	}
	if *both.Upload != 1 || *both.Download != 2 {
		t.Errorf("what was wanted before was changed: %d, %d", *both.Upload, *both.Download)
	}
	for says, bad := range map[string]ChangeLimits{
		"want an upload, a download or a reset": {},
		"a reset goes without rates":            {Reset: true, Upload: rate(1)},
		"upload: invalid rate -1":               {Upload: rate(-1)},
		"download: invalid rate -2":             {Upload: rate(1), Download: rate(-2)},
	} {
		if err := bad.Validate(); !errors.Is(err, release.ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: error %v, want %q", bad, err, says)
		}
	}
}

// TestConfirmed has hosts say what is in effect. A rate from the config does
// not confirm an order of the same rate: the host has yet to hear of it.
func TestConfirmed(t *testing.T) {
	none, up := WantedLimits{}, WantedLimits{Upload: rate(5)}
	says := func(w WantedLimits, config release.Rate) *Limits {
		l := w.Over(config, config)
		return &l
	}
	for name, c := range map[string]struct {
		wanted WantedLimits
		in     *Limits
		want   bool
	}{
		"nothing wanted, nothing said":  {none, nil, true},
		"nothing wanted, the config's":  {none, says(none, 5), true},
		"nothing wanted, still ordered": {none, says(up, 5), false},
		"wanted, nothing said":          {up, nil, false},
		"wanted, the config's":          {up, says(none, 5), false},
		"wanted, and so":                {up, says(up, 1), true},
		"wanted, an older order":        {up, says(WantedLimits{Upload: rate(4)}, 1), false},
		"one of two directions":         {WantedLimits{Upload: rate(5), Download: rate(5)}, says(up, 1), false},
		"one direction too many":        {up, says(WantedLimits{Upload: rate(5), Download: rate(5)}, 1), false},
		"no download to say":            {WantedLimits{Download: rate(5)}, &Limits{Upload: Limit{0, LimitConfig}}, false},
	} {
		if got := c.wanted.Confirmed(c.in); got != c.want {
			t.Errorf("%s: confirmed is %t", name, got)
		}
	}
}

func TestReportedLimits(t *testing.T) {
	for says, l := range map[string]Limits{
		"":                      {Upload: Limit{1, LimitConfig}},
		"upload: invalid rate":  {Upload: Limit{-1, LimitConfig}},
		"upload: invalid sourc": {Upload: Limit{1, ""}},
		"download: invalid sou": {Upload: Limit{1, LimitOrder}, Download: &Limit{1, "moon"}},
	} {
		if err := l.Validate(); says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%+v: error %v", l, err)
		}
	}
}

// TestLimitsAndOlderCrows holds that an answer without limits is told from one
// that orders none, and that a report without them has no such field.
func TestLimitsAndOlderCrows(t *testing.T) {
	for doc, known := range map[string]bool{`{}`: false, `{"limits":{}}`: true, `{"limits":{"upload":null,"download":null}}`: true} {
		var o Orders
		if err := json.Unmarshal([]byte(doc), &o); err != nil || (o.Limits != nil) != known {
			t.Errorf("%s: %+v, %v", doc, o.Limits, err)
		}
	}
	if b, err := json.Marshal(Report{}); err != nil || strings.Contains(string(b), "limits") {
		t.Errorf("a report: %s, %v", b, err)
	}
}
