package tracker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"crow/internal/control"
	"crow/internal/release"
)

const (
	registerTimeout = 10 * time.Second // one call; trackers answer in milliseconds
	registersAtOnce = 8                // trackers that are called at the same time
)

// Registrar registers torrents with trackers that run alone.
type Registrar struct {
	urls []string // of PathTorrents
	http *http.Client
}

// NewRegistrar returns a client of the trackers with those announce URLs, such
// as http://10.0.0.6:7404/announce.
func NewRegistrar(announceURLs []string, c *http.Client) (*Registrar, error) {
	r := &Registrar{http: c}
	for _, s := range announceURLs {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !strings.HasSuffix(u.Path, PathAnnounce) {
			return nil, fmt.Errorf("%w tracker URL %q: want http://HOST:PORT%s", release.ErrInvalid, s, PathAnnounce)
		}
		u.Path, u.RawQuery, u.Fragment = strings.TrimSuffix(u.Path, PathAnnounce)+PathTorrents, "", ""
		r.urls = append(r.urls, u.String())
	}
	return r, nil
}

// Renew registers the torrents with every tracker, by their whole v2
// infohashes. It is to be called when there is a new torrent, and every
// RenewEvery. A tracker that fails does not keep the others from being told;
// the error names all that failed.
func (r *Registrar) Renew(ctx context.Context, torrents []release.Digest) error {
	errs := make([]error, len(r.urls))
	var g errgroup.Group
	g.SetLimit(registersAtOnce)
	for i, u := range r.urls {
		g.Go(func() error {
			for chunk := range slices.Chunk(torrents, MaxRegistration) {
				if errs[i] = r.put(ctx, u, chunk); errs[i] != nil {
					break
				}
			}
			return nil
		})
	}
	_ = g.Wait() // its functions return nil: each keeps its error for itself
	return errors.Join(errs...)
}

func (r *Registrar) put(ctx context.Context, u string, torrents []release.Digest) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	body, err := json.Marshal(registration{InfoHashes: torrents})
	if err != nil {
		return fmt.Errorf("encode registration: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("register torrents: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("register torrents: %w", err) // it names the URL
	}
	defer res.Body.Close()
	if res.StatusCode/100 == 2 {
		return nil
	}
	refusal := res.Status // of what does not answer as crow's trackers do
	if e := control.ReadError(res); e != nil {
		refusal = e.Message
	}
	return fmt.Errorf("register torrents at %s: %s", u, refusal)
}
