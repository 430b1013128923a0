package stage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCompare(t *testing.T) {
	archive := pack(t,
		folder("./", 0o755), file("page", "first"), file("page", "one"), folder("bin", 0o755), fileMode("bin/server", "program", 0o755),
		hardLink("bin/same", "bin/server"), symlink("current", "page"), file("implied/deep", "x"), folder("closed", 0o500),
		file("twice", "same"), hardLink("twice", "./twice"), file("old", "old"), hardLink("kept", "old"), file("old", "new"),
	)
	tests := []struct {
		name  string
		spoil func(dir string) error
		want  []string
	}{
		{"untouched", func(string) error { return nil }, nil},
		{"what else is there", func(dir string) error { return os.WriteFile(filepath.Join(dir, "pid"), nil, 0o600) }, nil},
		{"the top is opened", func(dir string) error { return os.Chmod(dir, 0o770) }, nil},
		{"a file is gone", func(dir string) error { return os.Remove(filepath.Join(dir, "page")) }, []string{`"page": is missing`}},
		{"a folder is gone", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "implied")) }, []string{`"implied/deep": is missing`}},
		{"a byte differs", func(dir string) error { return os.WriteFile(filepath.Join(dir, "page"), []byte("onE"), 0) },
			[]string{`"page": has other content`}},
		{"a file was cut", func(dir string) error { return os.Truncate(filepath.Join(dir, "page"), 1) }, []string{`"page": has 1 bytes, not 3`}},
		{"a file that is packed twice differs", func(dir string) error { return os.WriteFile(filepath.Join(dir, "twice"), []byte("damn"), 0) },
			[]string{`"twice": has other content`}},
		{"a hard link is a file of its own", func(dir string) error {
			same := filepath.Join(dir, "bin/same")
			return errors.Join(os.Remove(same), os.WriteFile(same, []byte("proGram"), 0o755))
		}, []string{`"bin/same": is not the same file as "bin/server"`}},
		{"what a hard link leads to was replaced", func(dir string) error {
			server := filepath.Join(dir, "bin/server")
			return errors.Join(os.Remove(server), os.WriteFile(server, []byte("proGram"), 0o755))
		}, []string{`"bin/same": is not the same file as "bin/server"`, `"bin/server": has other content`}},
		{"a hard link is gone", func(dir string) error { return os.Remove(filepath.Join(dir, "bin/same")) }, []string{`"bin/same": is missing`}},
		{"a mode differs", func(dir string) error { return os.Chmod(filepath.Join(dir, "bin/server"), 0o644) },
			[]string{`"bin/server": has mode -rw-r--r--, not -rwxr-xr-x`}},
		{"a folder's mode differs", func(dir string) error { return os.Chmod(filepath.Join(dir, "closed"), 0o700) },
			[]string{`"closed": has mode -rwx------, not -r-x------`}},
		{"a link leads elsewhere", func(dir string) error {
			link := filepath.Join(dir, "current")
			return errors.Join(os.Remove(link), os.Symlink("bin", link))
		}, []string{`"current": is not a symlink to "page"`}},
		{"things of other kinds", func(dir string) error {
			page, bin := filepath.Join(dir, "page"), filepath.Join(dir, "closed")
			return errors.Join(os.Remove(page), os.Mkdir(page, 0o755), os.Remove(bin), os.Symlink("/etc", bin))
		}, []string{`"closed": is a symlink, not a directory`, `"page": is a directory, not a file`}},
		{"a symlink out of it", func(dir string) error {
			page := filepath.Join(dir, "page")
			return errors.Join(os.Remove(page), os.Symlink("/etc/hostname", page))
		}, []string{`"page": is a symlink, not a file`}},
	}
	for _, test := range tests {
		for _, format := range archiveFormats {
			t.Run(test.name+"/"+format.String(), func(t *testing.T) {
				dir, packed := t.TempDir(), compress(t, archive, format)
				if err := Unpack(t.Context(), bytes.NewReader(packed), format, dir, DefaultLimits()); err != nil {
					t.Fatal(err)
				}
				if err := test.spoil(dir); err != nil {
					t.Fatal(err)
				}
				got, err := Compare(t.Context(), bytes.NewReader(packed), format, dir, DefaultLimits())
				if err != nil || !slices.Equal(got, test.want) {
					t.Errorf("%q, %v, want %q", got, err, test.want)
				}
			})
		}
	}
}

func TestCompareWithDamagedArchive(t *testing.T) {
	packed := pack(t, file("page", "one"))
	if _, err := Compare(t.Context(), bytes.NewReader(packed[:300]), archiveFormats[0], t.TempDir(), DefaultLimits()); err == nil {
		t.Error("a cut archive compares")
	}
}

func TestSniff(t *testing.T) {
	for _, format := range archiveFormats {
		if got, err := Sniff(bytes.NewReader(compress(t, pack(t, file("a", "b")), format))); err != nil || got != format {
			t.Errorf("%s passes for %s, %v", format, got, err)
		}
	}
}
