package main

import (
	"errors"
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestDefaults(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []scenario{{Hosts: 16, Size: 64 << 20, Rate: 50e6}}; !reflect.DeepEqual(o.scenarios, want) {
		t.Errorf("scenarios %v", o.scenarios)
	}
	if got := strings.Join(o.wanted(), " "); o.runs != 1 || got != "http1 http aria2 libtorrent crow crow-tls" {
		t.Errorf("%d runs of %s", o.runs, got)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		args      string
		runs      int
		scenarios int
		wanted    string
	}{
		{"--preset equal", 5, 5, "http1 http aria2 libtorrent crow crow-tls"},
		{"--preset equal --runs 2 --systems crow", 2, 5, "http1 crow"},
		{"--preset equal --systems crow --uneven", 5, 5, "http1 crow crow --uneven"},
		{"--systems crow,http1,crow", 1, 1, "http1 crow"},
		{"--systems crow-tls", 1, 1, "http1 crow-tls"},
		{"--systems crow-tls --join-late", 1, 1, "http1 crow-tls crow crow --join-late"},
		{"--systems aria2 --join-late", 1, 1, "http1 aria2 crow crow --join-late"},
		{"--systems crow,http --uneven --join-late --apps 3", 1, 1, "http1 crow http crow --uneven crow --join-late crow --apps"},
		{"--systems http --rate none --apps 1", 1, 1, "http1 http"},
		{"--scale 1000 --runs 2", 2, 0, "crow --scale"},
		{"--scale 20 --deploys 1000", 1, 0, "crow --scale"},
		{"--piece 256KiB --limit 5m --hosts 1 --systems http1", 1, 1, "http1"},
	} {
		o, err := parseOptions(strings.Fields(test.args), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		if got := strings.Join(o.wanted(), " "); o.runs != test.runs || len(o.scenarios) != test.scenarios || got != test.wanted {
			t.Errorf("%s: %d runs of %s in %v", test.args, o.runs, got, o.scenarios)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for args, want := range map[string]string{
		"--preset equal --hosts 3": "--preset",
		"--preset best":            "equal",
		"--hosts 0":                "--hosts",
		"--hosts 1001":             "--hosts",
		"--size 0":                 "--size",
		"--size much":              "--size",
		"--rate 50":                "--rate",
		"--systems http,ftp":       "ftp",
		"--systems ":               "--systems",
		"--runs 0":                 "--runs",
		"--apps 17":                "--apps",
		"--limit -1s":              "--limit",
		"--piece 100000":           "--piece",
		"--piece 8KiB":             "--piece",
		"--rate none --uneven":     "--uneven",
		"--hosts 1 --join-late":    "--join-late",
		"--scale 0":                "--scale",
		"--scale 10001":            "--scale",
		"--deploys 2":              "--scale",
		"--scale 20 --deploys 0":   "--deploys",
		"--scale 20 --hosts 4":     "--hosts",
		"--scale 20 --apps 2":      "--apps",
		"--scale 20 --runs 0":      "--runs",
		"--what":                   "what",
		"crow":                     "flags only",
	} {
		if _, err := parseOptions(strings.Split(args, " "), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s named", args, err, want)
		}
	}
}

func TestHelp(t *testing.T) {
	var text strings.Builder
	if _, err := parseOptions([]string{"-h"}, &text); !errors.Is(err, flag.ErrHelp) || !strings.Contains(text.String(), "five minutes") {
		t.Errorf("%v: %s", err, text.String())
	}
}
