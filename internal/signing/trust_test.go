package signing

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"crow/internal/release"
)

func TestTrustValidate(t *testing.T) {
	_, keys := newKeys(t, MaxKeys+1)
	twin := keys[0] // the same key under another ID
	twin.raw[algorithmLen]++
	tests := []struct {
		name  string
		trust Trust
		want  string // in the error; empty: it is valid
	}{
		{"one of one", Trust{keys[:1], 1}, ""},
		{"two of three", Trust{keys[:3], 2}, ""},
		{"all", Trust{keys[:MaxKeys], MaxKeys}, ""},
		{"none", Trust{}, "keys: 0"},
		{"no keys", Trust{nil, 1}, "keys: 0"},
		{"too many", Trust{keys, 1}, "keys: 17"},
		{"no threshold", Trust{keys[:2], 0}, "threshold 0"},
		{"a negative threshold", Trust{keys[:2], -1}, "threshold -1"},
		{"more than keys", Trust{keys[:2], 3}, "threshold 3: want 1 to 2"},
		{"a key twice", Trust{[]PublicKey{keys[0], keys[0]}, 2}, "want 1 to 1"},
		{"a key under two IDs", Trust{[]PublicKey{keys[0], twin}, 2}, "want 1 to 1"},
		{"a key twice, once needed", Trust{[]PublicKey{keys[0], keys[0]}, 1}, ""},
		{"an empty key", Trust{[]PublicKey{keys[0], {}}, 1}, "empty"},
	}
	for _, tt := range tests {
		err := tt.trust.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, release.ErrInvalid) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
		if tt.trust.IsZero() != (tt.name == "none") {
			t.Errorf("%s: zero: %t", tt.name, tt.trust.IsZero())
		}
	}
}

func TestTrustInConfig(t *testing.T) {
	other := newKey(t).Public()
	dir := t.TempDir()
	file := write(t, dir, "other.pub", string(other.File()))
	write(t, dir, "bad.pub", "hello")
	write(t, dir, "long.pub", strings.Repeat(" ", maxKeyFileLen)+other.String())
	tests := []struct {
		text string
		want string // the keys and threshold, or what is in the error
		ok   bool
	}{
		{"keys: [" + theirLine + "]", theirLine + " 1", true},
		{"keys: [" + theirLine + ", " + file + "]\n  threshold: 2", theirLine + " " + other.String() + " 2", true},
		{"threshold: 2", "2", true}, // for Validate to refuse
		{"keys: [hello]", "invalid public key", false},
		{"keys: [" + theirLine[:40] + "]", "invalid public key", false},
		{"keys: [" + dir + "/none.pub]", "no such file", false},
		{"keys: [none.pub]", "no such file", false},
		{"keys: [" + dir + "]", "directory", false},
		{"keys: [" + dir + "/bad.pub]", "bad.pub: invalid public key", false},
		{"keys: [" + dir + "/long.pub]", "invalid public key", false},
		{"key: [" + theirLine + "]", "unknown field", false},
		{"keys: [" + theirLine + "]\n  threshold: many", "threshold", false},
	}
	for _, tt := range tests {
		var config struct {
			Trust Trust `yaml:"trust"`
		}
		err := yaml.UnmarshalWithOptions([]byte("trust:\n  "+tt.text+"\n"), &config, yaml.DisallowUnknownField())
		var got []string
		for _, k := range config.Trust.Keys {
			got = append(got, k.String())
		}
		got = append(got, string(rune('0'+config.Trust.Threshold)))
		if tt.ok && (err != nil || strings.Join(got, " ") != tt.want) || !tt.ok && (err == nil || !strings.Contains(err.Error(), tt.want) || !config.Trust.IsZero()) {
			t.Errorf("%s: got %s, error %v, want %s", tt.text, got, err, tt.want)
		}
	}
}

func TestTrustSurvivesYAML(t *testing.T) {
	_, keys := newKeys(t, 3)
	want := Trust{keys, 2}
	b, err := yaml.Marshal(want)
	var got Trust
	if err != nil || yaml.Unmarshal(b, &got) != nil || !slices.Equal(got.Keys, want.Keys) || got.Threshold != 2 {
		t.Errorf("%s became %+v, error %v", b, got, err)
	}
}
