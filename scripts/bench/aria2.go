package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
)

const aria2RPC = "6800"

// aria2Args is aria2 as one would run it in a datacenter: no search for peers
// outside of it, no share ratio at which it stops seeding, new peers every
// second, and no disk space reserved beforehand. RPC tells its upload.
func aria2Args(t torrent, dir string, more ...string) []string {
	args := []string{
		"aria2c", "--no-conf", "--quiet", "--dir=" + dir, "--listen-port=" + rivalPort,
		"--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=true",
		"--seed-ratio=0", "--bt-tracker-interval=1", "--bt-max-peers=0", "--file-allocation=none",
		"--enable-rpc", "--rpc-listen-all", "--rpc-listen-port=" + aria2RPC,
	}
	return append(append(args, more...), t.path)
}

func runAria2(ctx context.Context, s *stage) (delivery, error) {
	t, err := startRivalSwarm(ctx, s)
	if err != nil {
		return delivery{}, err
	}
	seed := job{name: "seeder", part: partSeeder, args: aria2Args(t, filepath.Dir(s.file.path), "--bt-seed-unverified=true", "--allow-overwrite=true")}
	if _, err := s.start(seed); err != nil {
		return delivery{}, err
	}
	if err := s.awaitSeed(ctx, t); err != nil {
		return delivery{}, err
	}
	hook := s.path("hook")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n: > \"$BENCH_MARK\"\n"), 0o755); err != nil {
		return delivery{}, err
	}
	return s.runRivals(ctx, func(host int, dir string) job {
		return job{env: []string{"BENCH_MARK=" + s.mark(theFile, host)}, args: aria2Args(t, dir, "--on-bt-download-complete="+hook)}
	}, s.aria2Account)
}

// runRivals starts a client on every host and waits for all. Then account tells
// who sent how much, in bytes.
func (s *stage) runRivals(ctx context.Context, client func(host int, dir string) job, account accounting) (delivery, error) {
	var d delivery
	start, err := s.begin(ctx)
	if err != nil {
		return d, err
	}
	for _, host := range s.net.all() {
		dir, err := s.hostPath(host)
		if err != nil {
			return d, err
		}
		j := client(host, dir)
		j.name, j.host = hostName(host), host
		if _, err := s.start(j); err != nil {
			return d, err
		}
		d.expect(s.file, filepath.Join(dir, filepath.Base(s.file.path)))
	}
	times, err := s.awaitMarks(ctx, s.marks(s.net.all()))
	if err != nil {
		return d, err
	}
	d.seconds = secondsSince(start, times)
	d.sent, d.wasted, err = account(ctx)
	return d, err
}

// accounting tells what the seeder sent and what hosts received twice, in
// bytes, from a system's own books.
type accounting func(ctx context.Context) (sent, wasted int64, err error)

// aria2Account asks every aria2 what it sent. aria2 does not say what came
// twice; it is what all of them sent beyond what the hosts needed.
func (s *stage) aria2Account(ctx context.Context) (sent, wasted int64, err error) {
	c := s.net.client(0)
	wasted = -int64(s.Hosts) * s.file.size
	for host := range s.Hosts + 1 {
		n, err := aria2Uploaded(ctx, c, address(host))
		if err != nil {
			return 0, 0, fmt.Errorf("ask aria2 of host %d: %w", host, err)
		}
		if host == 0 {
			sent = n
		}
		wasted += n
	}
	return sent, max(0, wasted), nil
}

func aria2Uploaded(ctx context.Context, c *http.Client, ip string) (int64, error) {
	call := []byte(`{"jsonrpc":"2.0","id":"bench","method":"aria2.tellActive","params":[["uploadLength"]]}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+ip+":"+aria2RPC+"/jsonrpc", bytes.NewReader(call))
	if err != nil {
		return 0, err
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var answer struct {
		Result []struct {
			UploadLength string `json:"uploadLength"`
		} `json:"result"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if len(answer.Result) != 1 {
		return 0, fmt.Errorf("%d transfers, want one", len(answer.Result))
	}
	return strconv.ParseInt(answer.Result[0].UploadLength, 10, 64)
}
