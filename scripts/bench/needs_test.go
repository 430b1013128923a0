package main

import (
	"strings"
	"testing"
)

func TestRunnable(t *testing.T) {
	full := inspection{root: true, ip: true, tc: true, aria2: true, libtorrent: true, crow: "/bin/crow", crowAsked: "bin/crow"}
	for _, test := range []struct {
		name  string
		lack  func(*inspection)
		want  string
		notes []string // words of each
	}{
		{"all there", func(*inspection) {}, "http1 http aria2 libtorrent crow crow-tls crow --apps", nil},
		{"not root", func(i *inspection) { i.root = false }, "", []string{"root"}},
		{"no tc", func(i *inspection) { i.tc = false }, "", []string{"iproute2"}},
		{"no ip, not root: one reason will do", func(i *inspection) { i.ip, i.root = false, false }, "", []string{"root"}},
		{"no aria2", func(i *inspection) { i.aria2 = false }, "http1 http libtorrent crow crow-tls crow --apps", []string{"apt-get install aria2"}},
		{"no libtorrent", func(i *inspection) { i.libtorrent = false }, "http1 http aria2 crow crow-tls crow --apps", []string{"python3-libtorrent"}},
	} {
		i := full
		test.lack(&i)
		got, notes := runnable([]string{nameHTTP1, nameHTTP, nameAria2, nameLibtorrent, nameCrow, nameCrowTLS, nameApps}, i)
		if strings.Join(got, " ") != test.want || len(notes) != len(test.notes) {
			t.Errorf("%s: got %v, %q", test.name, got, notes)
			continue
		}
		for n, words := range test.notes {
			if !strings.Contains(notes[n], words) {
				t.Errorf("%s: note %q lacks %q", test.name, notes[n], words)
			}
		}
	}
}

// A --scale has no network of its own.
func TestScaleNeedsNoRoot(t *testing.T) {
	if got, notes := runnable([]string{nameScale}, inspection{crow: "/bin/crow"}); len(got) != 1 || len(notes) > 0 {
		t.Errorf("got %v, %q", got, notes)
	}
}

func TestNeedsCrow(t *testing.T) {
	for _, test := range []struct {
		crow   string
		wanted []string
		want   string
	}{
		{"/bin/crow", []string{nameHTTP1, nameCrow}, ""},
		{"", []string{nameHTTP1, nameHTTP}, ""},
		{"", []string{nameHTTP1, nameAria2, nameApps}, "no crow at bin/crow, which aria2, crow --apps need"},
	} {
		err := inspection{crow: test.crow, crowAsked: "bin/crow"}.needsCrow(test.wanted)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q, %v: %v", test.crow, test.wanted, err)
		}
	}
}
