package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"crow/internal/release"
	"crow/tracker"
)

const (
	trackerPort = "7404"
	rivalPort   = "51413" // of the peer wire
)

func trackerURL(path string) string {
	return fmt.Sprintf("http://%s:%s%s", address(0), trackerPort, path)
}

// torrent is the file as aria2 and libtorrent get it, by BitTorrent v1, which
// is all that aria2 knows.
type torrent struct {
	path string
	hash metainfo.Hash
}

func makeTorrent(path string, file artifact, piece int64) (torrent, error) {
	info := metainfo.Info{PieceLength: piece}
	if err := info.BuildFromFilePath(file.path); err != nil {
		return torrent{}, fmt.Errorf("make torrent: %w", err)
	}
	b, err := bencode.Marshal(info)
	if err != nil {
		return torrent{}, fmt.Errorf("make torrent: %w", err)
	}
	mi := metainfo.MetaInfo{InfoBytes: b, Announce: trackerURL(tracker.PathAnnounce)}
	f, err := os.Create(path)
	if err != nil {
		return torrent{}, err
	}
	return torrent{path: path, hash: mi.HashInfoBytes()}, errors.Join(mi.Write(f), f.Close())
}

// The tracker that aria2 and libtorrent use is crow's own, standing alone. It
// hands out as many hosts as those clients ask for, and lets them ask each
// second: they are not to lose by its choice of neighbours.
const trackerYAML = `name: tracker
listen: 0.0.0.0:` + trackerPort + `
tls: off
insecure: true
max_neighbours: 200
min_interval: 1s
`

// startRivalSwarm makes the torrent, runs the tracker and registers the one
// with the other.
func startRivalSwarm(ctx context.Context, s *stage) (torrent, error) {
	t, err := makeTorrent(s.path("file.torrent"), s.file, s.piece)
	if err != nil {
		return t, err
	}
	config := s.path("tracker.yaml")
	if err := os.WriteFile(config, []byte(trackerYAML), 0o644); err != nil {
		return t, err
	}
	if _, err := s.start(job{name: "tracker", part: partOther, args: []string{s.tools.crow, "tracker", "--config", config}}); err != nil {
		return t, err
	}
	if err := s.awaitPort(ctx, 0, trackerPort); err != nil {
		return t, err
	}
	registrar, err := tracker.NewRegistrar([]string{trackerURL(tracker.PathAnnounce)}, s.net.client(0))
	if err != nil {
		return t, err
	}
	return t, registrar.Renew(ctx, []release.Digest{padded(t.hash)})
}

// padded is a v1 infohash as crow's tracker registers it. Announces carry the
// first 20 bytes of what it takes for a v2 infohash.
func padded(hash metainfo.Hash) release.Digest {
	var d release.Digest
	copy(d[:], hash[:])
	return d
}

// awaitSeed waits until the tracker knows a seed of the torrent.
func (s *stage) awaitSeed(ctx context.Context, t torrent) error {
	c := s.net.client(0)
	u := trackerURL(tracker.PathScrape) + "?" + url.Values{"info_hash": {string(t.hash[:])}}.Encode()
	return s.eventually(ctx, func() error {
		seeds, err := scrape(ctx, c, u, t.hash)
		if err == nil && seeds == 0 {
			err = errors.New("the tracker knows no seed")
		}
		return err
	})
}

// scrape asks a tracker how many seeds a torrent has (BEP 48).
func scrape(ctx context.Context, c *http.Client, u string, hash metainfo.Hash) (seeds int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, err
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return 0, err
	}
	var answer struct {
		Files map[string]struct {
			Complete int `bencode:"complete"`
		} `bencode:"files"`
	}
	if err := bencode.Unmarshal(b, &answer); err != nil {
		return 0, fmt.Errorf("read scrape: %w", err)
	}
	return answer.Files[string(hash[:])].Complete, nil
}
