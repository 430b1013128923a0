package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseTraffic(t *testing.T) {
	const out = `[{"ifname":"lo","stats64":{"rx":{"bytes":99,"packets":1},"tx":{"bytes":99,"packets":1}}},
{"ifname":"br0","stats64":{"rx":{"bytes":500,"packets":5},"tx":{"bytes":0,"packets":0}}},
{"ifname":"p0","link_index":2,"stats64":{"rx":{"bytes":1066,"packets":1,"errors":0},"tx":{"bytes":166,"packets":1}}},
{"ifname":"p12","stats64":{"rx":{"bytes":60,"packets":1},"tx":{"bytes":2132,"packets":2}}}]`
	got, err := parseTraffic([]byte(out))
	want := map[int]traffic{0: {sent: 1000, received: 100}, 12: {sent: 0, received: 2000}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if d := got[12].since(traffic{received: 500}); d.received != 1500 {
		t.Errorf("got %v", d)
	}
	if _, err := parseTraffic([]byte("Cannot open")); err == nil {
		t.Error("no JSON was accepted")
	}
}

func TestLeftBehind(t *testing.T) {
	const list = "crowbench12-br (id: 3)\ncrowbench12-0\ncrowbench7-3 (id: 1)\nnl3\ncrowbench\ncrow12-3\n"
	got := leftBehind(list, func(pid string) bool { return pid == "7" })
	if strings.Join(got, " ") != "crowbench12-br crowbench12-0" {
		t.Errorf("got %v", got)
	}
}
