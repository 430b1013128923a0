package control

import (
	"testing"

	"crow/internal/release"
)

// TestAllBytes holds that a host which tries again counts each byte once: what came in
// the first attempt is there in the second, and did not come from the host itself.
func TestAllBytes(t *testing.T) {
	for _, c := range []struct {
		name                string
		earlier, last, want release.Bytes
	}{
		{"one attempt", release.Bytes{}, release.Bytes{Local: 20, Peer: 80}, release.Bytes{Local: 20, Peer: 80}},
		{"nothing moved again", release.Bytes{Local: 20, Peer: 80}, release.Bytes{Local: 100}, release.Bytes{Local: 20, Peer: 80}},
		{"not yet begun again", release.Bytes{Peer: 80, Seeder: 20}, release.Bytes{}, release.Bytes{Peer: 80, Seeder: 20}},
		{"the rest", release.Bytes{Peer: 60}, release.Bytes{Local: 60, Seeder: 40}, release.Bytes{Peer: 60, Seeder: 40}},
		{"all of it again", release.Bytes{Peer: 100, Wasted: 100}, release.Bytes{Origin: 100}, release.Bytes{Peer: 100, Origin: 100, Wasted: 100}},
		{"found elsewhere", release.Bytes{Peer: 10}, release.Bytes{Local: 100}, release.Bytes{Local: 90, Peer: 10}},
	} {
		h := HostStatus{Earlier: c.earlier, Bytes: c.last}
		if got := h.AllBytes(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
