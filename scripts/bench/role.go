package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// roleFlag makes bench play one end of the plain HTTP transfer, in a host's
// namespace: it needs no web server and no curl. Or all hosts of a --scale.
const roleFlag = "--as"

var roles = map[string]func(ctx context.Context, args []string) error{
	"server": serveFile,     // ADDRESS FILE
	"client": fetchFile,     // URL FILE MARK
	"hosts":  simulateHosts, // CONFIG
}

// playRole runs a role, if the arguments name one, until it is told to stop.
func playRole(args []string) (code int, ok bool) {
	if len(args) < 2 || args[0] != roleFlag || roles[args[1]] == nil {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := roles[args[1]](ctx, args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "bench as %s: %v\n", args[1], err)
		return exitFailed, true
	}
	return exitDone, true
}

func serveFile(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("want ADDRESS FILE")
	}
	s := &http.Server{
		Addr: args[0], ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, args[1]) }),
	}
	context.AfterFunc(ctx, func() { _ = s.Close() }) // there is nobody left to tell
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// fetchFile downloads, marks the end, and stays until it is told to stop, so
// that its memory can be read as that of the others.
func fetchFile(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("want URL FILE MARK")
	}
	if err := download(ctx, args[0], args[1]); err != nil {
		return err
	}
	if err := os.WriteFile(args[2], nil, 0o644); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func download(ctx context.Context, url, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	f, err := os.Create(filepath.Clean(path))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
