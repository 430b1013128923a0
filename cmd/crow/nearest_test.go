package main

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"hook", "hook_timeout", "unpack", "keep", "swarm_listen", "--target", "--timeout", "name"}
	cases := []struct{ word, want string }{
		{"hok", "hook"},
		{"hoook", "hook"},
		{"Hook", "hook"},
		{"hook-timeout", "hook_timeout"},
		{"swarm_lisetn", "swarm_listen"},
		{"--taget", "--target"},
		{"--tmieout", "--timeout"},
		{"zone", ""},
		{"wave", ""}, // two edits from name are half the word
		{"hk", ""},
		{"swam_lisetn", ""},
		{"--wave", ""},
		{"", ""},
		{"x", ""},
	}
	for _, c := range cases {
		if got := nearest(c.word, words); got != c.want {
			t.Errorf("nearest(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}

func TestEdits(t *testing.T) {
	cases := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 2}, {"same", "same", 0}}
	for _, c := range cases {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("edits(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
