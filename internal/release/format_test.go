package release

import (
	"encoding"
	"errors"
	"strings"
	"testing"
)

// enumeration is what the named values of this package have in common.
type enumeration interface {
	encoding.TextMarshaler
	String() string
}

// checkNames walks all 256 values of an enumeration: the first ones have these
// names, which read back as the same value, and the others have none.
func checkNames(t *testing.T, names []string, value func(uint8) enumeration, parse func(string) (uint8, error)) {
	t.Helper()
	for i := range 256 {
		v := value(uint8(i))
		text, err := v.MarshalText()
		if i >= len(names) {
			if !errors.Is(err, ErrInvalid) || !strings.Contains(v.String(), "(") {
				t.Errorf("value %d: %s, error %v", i, v, err)
			}
			continue
		}
		back, parseErr := parse(string(text))
		if err != nil || string(text) != names[i] || v.String() != names[i] || parseErr != nil || back != uint8(i) {
			t.Errorf("value %d: %q, errors %v, %v; back %d", i, text, err, parseErr, back)
		}
	}
	for _, bad := range []string{"", "x", " " + names[0], names[0] + "\n", strings.ToUpper(names[0]), strings.Repeat("x", 1000)} {
		if i, err := parse(bad); !errors.Is(err, ErrInvalid) || i != 0 || len(err.Error()) > 200 {
			t.Errorf("%.20q: value %d, error %v", bad, i, err)
		}
	}
}

func TestFormats(t *testing.T) {
	checkNames(t, []string{"file", "tar", "tar.gz", "tar.zst"}, func(i uint8) enumeration { return Format(i) }, func(s string) (uint8, error) {
		var f Format
		err := f.UnmarshalText([]byte(s))
		return uint8(f), err
	})
	for f, want := range map[Format]bool{FormatFile: false, FormatTar: true, FormatTarGzip: true, FormatTarZstd: true} {
		if f.IsArchive() != want {
			t.Errorf("%s is an archive: %t", f, !want)
		}
	}
}

func FuzzNamesOfValues(f *testing.F) {
	for _, s := range []string{"file", "tar.gz", "active", "superseded", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var format Format
		var phase Phase
		var deploy DeployPhase
		if format.UnmarshalText([]byte(s)) == nil && format.String() != s {
			t.Errorf("format %q became %s", s, format)
		}
		if phase.UnmarshalText([]byte(s)) == nil && phase.String() != s {
			t.Errorf("phase %q became %s", s, phase)
		}
		if deploy.UnmarshalText([]byte(s)) == nil && deploy.String() != s {
			t.Errorf("deploy phase %q became %s", s, deploy)
		}
	})
}
