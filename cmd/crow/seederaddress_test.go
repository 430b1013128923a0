package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSeederAddressOf(t *testing.T) {
	cases := []struct {
		given []string
		hosts []string
		url   string
		ip    string
	}{
		{nil, []string{"127.0.0.1"}, "https://127.0.0.1:7400", "127.0.0.1"},
		{[]string{"10.0.0.5"}, []string{"10.0.0.5"}, "https://10.0.0.5:7400", "10.0.0.5"},
		{[]string{"10.0.0.5:7500"}, []string{"10.0.0.5"}, "https://10.0.0.5:7500", "10.0.0.5"},
		{[]string{"https://10.0.0.5:7500/"}, []string{"10.0.0.5"}, "https://10.0.0.5:7500", "10.0.0.5"},
		{[]string{"crow.example.com", "10.0.0.5:7500"}, []string{"crow.example.com", "10.0.0.5"}, "https://crow.example.com:7500", "10.0.0.5"},
		{[]string{"fd00::5"}, []string{"fd00::5"}, "https://[fd00::5]:7400", "fd00::5"},
		{[]string{"[fd00::5]"}, []string{"fd00::5"}, "https://[fd00::5]:7400", "fd00::5"},
		{[]string{"[fd00::5]:1"}, []string{"fd00::5"}, "https://[fd00::5]:1", "fd00::5"},
	}
	for _, c := range cases {
		at, err := seederAddressOf(c.given)
		if err != nil || !slices.Equal(at.hosts, c.hosts) || at.url() != c.url || at.ip != c.ip {
			t.Errorf("%v: %v %s %s %v, want %v %s %s", c.given, at.hosts, at.url(), at.ip, err, c.hosts, c.url, c.ip)
		}
	}
}

func TestSeederAddressRefuses(t *testing.T) {
	cases := []struct {
		given []string
		why   string
	}{
		{[]string{""}, "invalid host"},
		{[]string{"10.0.0.5:"}, "want HOST or HOST:PORT"},
		{[]string{"10.0.0.5:0"}, "want HOST or HOST:PORT"},
		{[]string{"10.0.0.5:65536"}, "want HOST or HOST:PORT"},
		{[]string{"10.0.0.5:https"}, "want HOST or HOST:PORT"},
		{[]string{"10.0.0.5:1", "10.0.0.6:2"}, "same port for all"},
		{[]string{"0.0.0.0"}, "invalid host"},
		{[]string{"http://10.0.0.5:7400"}, "invalid host"},
		{[]string{"a b"}, "invalid host"},
		{[]string{"crow.example.com"}, "no IP among the addresses"},
	}
	for _, c := range cases {
		_, err := seederAddressOf(c.given)
		if err == nil || !strings.Contains(err.Error(), c.why) || diagnose(err).code != exitUsage {
			t.Errorf("%v: %v, want %q as a usage error", c.given, err, c.why)
		}
	}
}
