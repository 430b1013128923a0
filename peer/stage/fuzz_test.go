package stage

import (
	"archive/tar"
	"bytes"
	"testing"

	"crow/internal/release"
)

// FuzzUnpack holds that no bytes change anything outside of the folder.
func FuzzUnpack(f *testing.F) {
	for _, archive := range [][]byte{
		nil,
		pack(f, file("a/b", "content"), symlink("l", "a/b"), hardLink("h", "a/b"), folder("d", 0o555)),
		pack(f, comment(), file("../x", "x")),
		pack(f, symlink("l", "a/b/up/../x"), symlink("a/b/up", "../.."), file("l/y", "z")),
		pack(f, entry{tar.Header{Typeflag: tar.TypeReg, Name: "p", Size: 1, PAXRecords: map[string]string{"path": "../../secret"}}, "x"}),
	} {
		for _, format := range archiveFormats {
			f.Add(compress(f, archive, format), uint8(format))
		}
	}
	for _, c := range corpus(f) {
		f.Add(c.archive, uint8(c.format))
	}
	limits := Limits{Entries: 50, Bytes: 1 << 20, Depth: 10, NameLen: 300, Ratio: 20, Slack: 64 << 10}
	f.Fuzz(func(t *testing.T, archive []byte, format uint8) {
		dir, check := outside(t)
		err := Unpack(t.Context(), bytes.NewReader(archive), release.Format(format%4), dir, limits)
		if err == nil {
			checkLinksStay(t, dir)
		} else {
			wantError(t, err, "unpack")
			if release.Printable(err.Error()) != err.Error() {
				t.Errorf("error steers terminals: %q", err)
			}
		}
		check()
	})
}
