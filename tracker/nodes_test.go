package tracker_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
	"golang.org/x/sync/errgroup"

	"crow/internal/swarm"
	"crow/seeder/build"
	"crow/tracker"
)

// A seeder and five peers that know nothing but the announce URL find each
// other and finish.
func TestNodesFindEachOther(t *testing.T) {
	artifact := make([]byte, 3<<20)
	rand.Read(artifact)
	h := build.NewHasher()
	defer h.Close()
	h.Write(artifact)
	built, err := h.Sum()
	if err != nil {
		t.Fatal(err)
	}
	config := tracker.DefaultConfig()
	config.Log = zaptest.NewLogger(t)
	tr, err := tracker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	tr.Register(built.InfoHash)
	server := httptest.NewServer(tr.Handler())
	defer server.Close()

	path := filepath.Join(t.TempDir(), "artifact")
	if err := os.WriteFile(path, artifact, 0o644); err != nil {
		t.Fatal(err)
	}
	seeder := startNode(t, swarm.RoleSeeder, "127.0.0.1", server.URL)
	if err := seeder.Seed(built.Torrent, path); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for i := range 5 {
		peer := startNode(t, swarm.RolePeer, fmt.Sprintf("127.0.0.%d", i+2), server.URL)
		to := filepath.Join(t.TempDir(), "part")
		group.Go(func() error {
			if err := peer.Fetch(ctx, built.Torrent, to, func(swarm.Progress) {}); err != nil {
				return fmt.Errorf("peer %d: %w", i, err)
			}
			if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, artifact) {
				return fmt.Errorf("peer %d: wrong bytes (%v)", i, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func startNode(t *testing.T, role swarm.Role, ip, url string) *swarm.Swarm {
	t.Helper()
	s, err := swarm.New(swarm.Config{Role: role, Listen: ip + ":0", Advertise: ip, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.SetTrackers([]string{url + tracker.PathAnnounce})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}
