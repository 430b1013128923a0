package peer

import (
	"testing"

	"crow/internal/release"
)

func TestOriginsOfSeveralLives(t *testing.T) {
	tests := []struct {
		name        string
		before, now release.Bytes
		whole       bool
		want        release.Bytes
	}{
		{"first life", release.Bytes{}, release.Bytes{Local: 1, Peer: 5, Seeder: 4, Wasted: 1}, true, release.Bytes{Local: 1, Peer: 5, Seeder: 4, Wasted: 1}},
		{"all was kept", release.Bytes{Peer: 3, Seeder: 2}, release.Bytes{Local: 5, Peer: 5}, true, release.Bytes{Peer: 8, Seeder: 2}},
		{"half a piece was lost", release.Bytes{Peer: 5}, release.Bytes{Local: 4, Peer: 6}, true, release.Bytes{Peer: 11, Wasted: 1}},
		{"some came after the last note", release.Bytes{Peer: 5}, release.Bytes{Local: 7, Peer: 3}, true, release.Bytes{Local: 2, Peer: 8}},
		{"some was here before both", release.Bytes{Local: 2, Seeder: 3}, release.Bytes{Local: 5, Peer: 5}, true, release.Bytes{Local: 2, Peer: 5, Seeder: 3}},
		{"waste counts once", release.Bytes{Peer: 5, Wasted: 2}, release.Bytes{Local: 3, Origin: 7, Wasted: 1}, true, release.Bytes{Peer: 5, Origin: 7, Wasted: 3}},
		{"nothing was kept", release.Bytes{Peer: 5}, release.Bytes{Peer: 10}, true, release.Bytes{Peer: 15, Wasted: 5}},
		{"pieces are yet to be checked", release.Bytes{Peer: 5}, release.Bytes{Local: 1}, false, release.Bytes{Peer: 5}},
		{"the cache has it", release.Bytes{Peer: 10}, release.Bytes{Local: 10}, true, release.Bytes{Peer: 10}},
	}
	for _, test := range tests {
		o := origins{before: test.before}
		got := o.sum(test.now, test.whole)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}
