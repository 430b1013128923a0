package seeder

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"crow/internal/release"
)

func shownKeys(keys [][]byte) string {
	var all []string
	for _, k := range keys {
		all = append(all, string(k))
	}
	return strings.Join(all, " ")
}

func TestRingRotates(t *testing.T) {
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	rotate := func(r ring, key string, minute int) ring {
		return r.rotate([]byte(key), time.Minute, time.Hour, at(minute))
	}
	one := ringOf(release.Digest{1}, [][]byte{[]byte("a")})
	two := ringOf(release.Digest{1}, [][]byte{[]byte("a"), []byte("z")})
	for _, c := range []struct {
		name   string
		ring   ring
		minute int
		want   string
	}{
		{"none", ring{}, 0, ""},
		{"from the config", two, 100_000, "a z"},
		{"at once", rotate(one, "b", 0), 0, "a b"},
		{"when all have it", rotate(one, "b", 0), 1, "b a"},
		{"just before the end", rotate(one, "b", 0), 60, "b a"},
		{"after the end", rotate(one, "b", 0), 61, "b"},
		{"two of the config", rotate(two, "b", 0), 1, "b a z"},
		{"two of the config, after the end", rotate(two, "b", 0), 61, "b"},
		{"again in mid-rotation", rotate(rotate(one, "b", 0), "c", 30), 30, "b a c"},
		{"again, when all have it", rotate(rotate(one, "b", 0), "c", 30), 31, "c b a"},
		{"again, the first one ended", rotate(rotate(one, "b", 0), "c", 30), 61, "c b"},
		{"again, both ended", rotate(rotate(one, "b", 0), "c", 30), 91, "c"},
		{"again before anybody sent with the first", rotate(rotate(one, "b", 0), "c", 0), 0, "a c b"},
	} {
		if got := shownKeys(c.ring.inForce(at(c.minute))); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Whatever is rotated when, two members that are at most spread apart in what
// they know understand each other.
func TestRingKeepsTheFleetTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const spread, grace = time.Minute, 10 * time.Minute
		r, now := ringOf(release.Digest{}, [][]byte{[]byte("0")}), t0
		for i := range rapid.IntRange(1, 5).Draw(t, "rotations") {
			before := r
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "wait")) * time.Second)
			r = r.rotate(fmt.Append(nil, i+1), spread, grace, now)
			for late := time.Duration(0); late <= spread; late += 10 * time.Second {
				behind, ahead := before.inForce(now), r.inForce(now.Add(late))
				understands := func(who [][]byte, key []byte) bool {
					return slices.ContainsFunc(who, func(k []byte) bool { return string(k) == string(key) })
				}
				// At the very end of the spread the new key is sent with; who is that late
				// is not heard, but hears.
				if late < spread && !understands(behind, ahead[0]) || !understands(ahead, behind[0]) {
					t.Fatalf("%s after rotation %d: %q and %q", late, i, shownKeys(behind), shownKeys(ahead))
				}
			}
		}
	})
}
