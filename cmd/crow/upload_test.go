package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"crow/internal/control"
	"crow/seeder/build"
)

const (
	testStall  = 10 * time.Second
	testAnswer = 40 * time.Second
)

// slowSeeder takes one upload from a connection without buffers, in chunks.
type slowSeeder struct {
	most   int64         // bytes that it takes before it falls silent; 0: all
	rest   time.Duration // before each chunk
	answer time.Duration // before it answers; 0: never
}

func (s slowSeeder) serve(ctx context.Context, c net.Conn) error {
	const chunk = mib
	defer c.Close()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return err
	}
	hasher := build.NewHasher()
	defer hasher.Close()
	for taken := int64(0); taken < req.ContentLength && (s.most == 0 || taken < s.most); {
		rest(ctx, s.rest)
		n, err := io.CopyN(hasher, req.Body, min(chunk, req.ContentLength-taken))
		if err != nil {
			return err
		}
		taken += n
	}
	if s.answer == 0 {
		<-ctx.Done()
		return nil
	}
	rest(ctx, s.answer)
	sum, err := hasher.Sum()
	if err != nil {
		return err
	}
	blob, err := json.Marshal(sum.Blob)
	if err == nil {
		_, err = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(blob), blob)
	}
	return err
}

// uploadTo uploads the file at path to the seeder.
func uploadTo(ctx context.Context, t *testing.T, s slowSeeder, path string) error {
	t.Helper()
	artifact, err := build.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer artifact.Close()
	here, there := net.Pipe()
	served := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	go func() { served <- s.serve(serving, there) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return here, nil }}
	c, err := control.NewClient("http://10.0.0.5:7400", &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	u := newUploader(c, silent{io.Discard})
	u.stall, u.answer = testStall, testAnswer
	_, err = u.upload(ctx, artifact)
	stop()
	transport.CloseIdleConnections()
	if broken := <-served; err == nil && broken != nil {
		t.Error(broken)
	}
	return err
}

func TestUploadWaitsForASlowSeederOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "build")
	if err := os.WriteFile(path, make([]byte, 4*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	const hint = "look at the seeder's log and disk, then push again"
	cases := []struct {
		name   string
		seeder slowSeeder
		want   diagnosis
		took   time.Duration
	}{
		{"slow", slowSeeder{rest: testStall - time.Second, answer: testAnswer - time.Second}, diagnosis{}, 4*(testStall-time.Second) + testAnswer - time.Second},
		{
			"stops reading", slowSeeder{most: mib},
			diagnosis{"seeder http://10.0.0.5:7400 took no more bytes for 10s, after 1.0 MiB of 4 MiB", hint, exitUnreachable}, testStall,
		},
		{
			"never answers", slowSeeder{},
			diagnosis{"seeder http://10.0.0.5:7400 gave no answer for 40s, after all of 4 MiB", hint, exitUnreachable}, testAnswer,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := uploadTo(t.Context(), t, c.seeder, path)
				took := time.Since(began)
				var got diagnosis
				if err != nil {
					got = diagnose(err)
				}
				if got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				if took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
			})
		})
	}
}
