package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// debianPython has Debian's python3-libtorrent, whatever other Python comes
// first on the PATH.
const debianPython = "/usr/bin/python3"

//go:embed libtorrent_client.py
var libtorrentScript []byte

func runLibtorrent(ctx context.Context, s *stage) (delivery, error) {
	t, err := startRivalSwarm(ctx, s)
	if err != nil {
		return delivery{}, err
	}
	script := s.path("libtorrent_client.py")
	if err := os.WriteFile(script, libtorrentScript, 0o644); err != nil {
		return delivery{}, err
	}
	args := func(host int, dir, role string) []string {
		return []string{debianPython, script, t.path, dir, s.mark(theFile, host), s.books(host), role}
	}
	if _, err := s.start(job{name: "seeder", part: partSeeder, args: args(0, filepath.Dir(s.file.path), "seed")}); err != nil {
		return delivery{}, err
	}
	if err := s.awaitSeed(ctx, t); err != nil {
		return delivery{}, err
	}
	return s.runRivals(ctx, func(host int, dir string) job {
		return job{args: args(host, dir, "peer")}
	}, s.libtorrentAccount)
}

// books is where a host's script writes down what moved, when it ends.
func (s *stage) books(host int) string { return s.path(hostName(host) + ".json") }

func (s *stage) libtorrentAccount(context.Context) (sent, wasted int64, err error) {
	s.stop()
	for host := range s.Hosts + 1 {
		var moved struct{ Sent, Wasted int64 }
		b, err := os.ReadFile(s.books(host))
		if err == nil {
			err = json.Unmarshal(b, &moved)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("books of libtorrent on host %d: %w", host, err)
		}
		if host == 0 {
			sent = moved.Sent
		}
		wasted += moved.Wasted
	}
	return sent, wasted, nil
}
