package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What no host would unpack is refused before it is sent.
func TestPackRefusesWhatHostsDo(t *testing.T) {
	deep := strings.Repeat("d/", maxDepth-1)
	tests := []struct {
		name  string
		links map[string]string // by name: target
		modes map[string]uint32
		want  string // after the directory's name; empty: it is packed
	}{
		{name: "absolute link", links: map[string]string{"sub/pw": "/etc/passwd"}, want: `sub/pw is a symbolic link to "/etc/passwd", an absolute path`},
		{name: "link out", links: map[string]string{"sub/x": "../../etc/passwd"}, want: `sub/x is a symbolic link to "../../etc/passwd", which leads out of the directory`},
		{name: "link to the parent", links: map[string]string{"up": ".."}, want: `up is a symbolic link to "..", which leads out`},
		{name: "link to the top", links: map[string]string{"sub/top": ".."}},
		{name: "link that dips out by its words", links: map[string]string{"sub/x": "../../" + "sub/file"}, want: `sub/x is a symbolic link`},
		{
			name: "out by way of another", links: map[string]string{"a/b/s": "../..", "x": "a/b/s/../secret"},
			want: `x is a symbolic link to "a/b/s/../secret", which leads out of the directory`,
		},
		{name: "loop", links: map[string]string{"a": "b", "b": "a"}, want: `a is a symbolic link to "b", part of a loop`},
		{name: "dangling", links: map[string]string{"a": "gone/x", "b": "sub/file/x"}},
		{name: "long target", links: map[string]string{"a": strings.Repeat("x/", maxNameLen/2) + "x"}, want: "a is a symbolic link with a target of 2049 bytes"},
		{name: "setuid", modes: map[string]uint32{"sub/su": 0o4755}, want: "sub/su has its set-user-id bit set, which hosts refuse: take it off with chmod u-s"},
		{name: "setgid", modes: map[string]uint32{"sg": 0o2755}, want: "sg has its set-group-id bit set"},
		{name: "sticky", modes: map[string]uint32{"st": 0o1644}, want: "st is a file with its sticky bit set"},
		{name: "deepest", modes: map[string]uint32{deep + "f": 0o644}},
		{name: "too deep", modes: map[string]uint32{deep + "d/f": 0o644}, want: "... is over 100 directories deep"},
		{
			name: "long name", modes: map[string]uint32{strings.Repeat(strings.Repeat("n", 250)+"/", 9) + "f": 0o644},
			want: "... has a name of 2258 bytes",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			mkdir(t, filepath.Join(dir, "sub"))
			write(t, filepath.Join(dir, "sub/file"), []byte("x"))
			for name, target := range test.links {
				mkdir(t, filepath.Dir(filepath.Join(dir, name)))
				if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			for name, mode := range test.modes {
				path := filepath.Join(dir, name)
				mkdir(t, filepath.Dir(path))
				write(t, path, []byte("x"))
				if err := syscall.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Open(dir)
			if err == nil {
				s.Close()
			}
			if test.want == "" {
				if err != nil {
					t.Errorf("error %v", err)
				}
				return
			}
			if !errors.Is(err, ErrUnusable) || !strings.Contains(fmt.Sprint(err), test.want) || strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// The rules are for links inside a directory, not for one to it.
func TestLinkToAnArtifactIsFollowed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), []byte("x"))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	s, err := Open(link)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
