package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"crow/internal/release"
)

// ErrUnreachable marks a call that got no answer of the control API: nothing
// listens there, the connection broke, or something else answered.
var ErrUnreachable = errors.New("seeder unreachable")

// callTimeout bounds a call that is answered at once; long polls add what they
// wait for.
const callTimeout = 20 * time.Second

// createTimeout bounds a call that makes a release or a deploy. The seeder may
// have to hash the artifact again first, at some hundred MiB a second; what takes
// longer it does all the same, and the next call finds it done.
const createTimeout = 2 * time.Minute

// maxAnswerLen bounds an answer, in bytes: a status of 10,000 hosts with the
// longest tail of a hook's output for each.
const maxAnswerLen = 128 << 20

// Client calls the control API of one seeder.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client of the seeder at base, a URL such as
// http://10.0.0.5:7400.
func NewClient(base string, c *http.Client) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%w seeder URL %q: want http://HOST:PORT", release.ErrInvalid, base)
	}
	return &Client{base: strings.TrimSuffix(base, "/"), http: c}, nil
}

// URL is the seeder's URL, as the client was given it.
func (c *Client) URL() string { return c.base }

// Upload streams an artifact to the seeder and returns what the seeder found
// it to be. A reader with a Size method, in bytes, lets the seeder refuse at the
// start what its disk has no room for.
func (c *Client) Upload(ctx context.Context, artifact io.Reader) (Blob, error) {
	var b Blob
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+PathBlobs, io.NopCloser(artifact))
	if err != nil {
		return b, fmt.Errorf("call seeder: %w", err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.ContentLength = -1
	if sized, ok := artifact.(interface{ Size() int64 }); ok {
		req.ContentLength = sized.Size()
	}
	res, err := c.do(req)
	if err != nil {
		return b, err
	}
	return b, decode(res, &b)
}

// CreateRelease makes a release of an uploaded artifact.
func (c *Client) CreateRelease(ctx context.Context, req CreateRelease) (Release, error) {
	var r Release
	return r, c.create(ctx, PathReleases, req, &r)
}

// AddSignatures adds to a release's signatures.
func (c *Client) AddSignatures(ctx context.Context, ref release.Ref, signatures []string) (Release, error) {
	var r Release
	path := strings.NewReplacer("{app}", url.PathEscape(ref.App), "{version}", url.PathEscape(ref.Version)).Replace(PathSignatures)
	return r, c.call(ctx, http.MethodPost, path, AddSignatures{Signatures: signatures}, &r)
}

// Releases lists the catalog, newest first; of one app, or with an empty name
// of all.
func (c *Client) Releases(ctx context.Context, app string) ([]Release, error) {
	var r []Release
	return r, c.call(ctx, http.MethodGet, PathReleases+"?"+url.Values{"app": {app}}.Encode(), nil, &r)
}

// History lists who did what, newest first; of one app, or with an empty name of
// all. It answers at most limit entries.
func (c *Client) History(ctx context.Context, app string, limit int) ([]HistoryEntry, error) {
	var h []HistoryEntry
	q := url.Values{"app": {app}, "limit": {strconv.Itoa(limit)}}
	return h, c.call(ctx, http.MethodGet, PathHistory+"?"+q.Encode(), nil, &h)
}

// RotateGossipKey has the fleet's gossip go over to a new key.
func (c *Client) RotateGossipKey(ctx context.Context, spread, grace time.Duration) (GossipRotation, error) {
	var g GossipRotation
	return g, c.call(ctx, http.MethodPost, PathGossipKey, RotateGossipKey{SpreadSeconds: int64(spread / time.Second), GraceSeconds: int64(grace / time.Second)}, &g)
}

// Hosts lists the fleet by name; with targets, what one of them matches.
func (c *Client) Hosts(ctx context.Context, targets []release.Expr) ([]Host, error) {
	q := url.Values{}
	for _, t := range targets {
		q.Add("target", string(t))
	}
	var h []Host
	return h, c.call(ctx, http.MethodGet, PathHosts+"?"+q.Encode(), nil, &h)
}

// ChangeHostLimits changes what is wanted of the hosts that a selector matches,
// and returns them.
func (c *Client) ChangeHostLimits(ctx context.Context, req ChangeHostLimits) ([]Host, error) {
	var h []Host
	return h, c.call(ctx, http.MethodPost, PathLimits, req, &h)
}

// SeederLimits returns the limits in effect on the seeder itself.
func (c *Client) SeederLimits(ctx context.Context) (Limits, error) {
	var l Limits
	return l, c.call(ctx, http.MethodGet, PathUplink, nil, &l)
}

// ChangeSeederLimits changes the seeder's own limits.
func (c *Client) ChangeSeederLimits(ctx context.Context, req ChangeLimits) (Limits, error) {
	var l Limits
	return l, c.call(ctx, http.MethodPost, PathUplink, req, &l)
}

// Hello makes a host known to the seeder.
func (c *Client) Hello(ctx context.Context, host string, hello Hello) (Welcome, error) {
	var w Welcome
	path := strings.Replace(PathHost, "{name}", url.PathEscape(host), 1)
	return w, c.call(ctx, http.MethodPut, path, hello, &w)
}

// Goodbye says that a host's agent ends, of that boot: nobody is to wait for it.
func (c *Client) Goodbye(ctx context.Context, host, boot string) error {
	path := strings.Replace(PathHost, "{name}", url.PathEscape(host), 1)
	var nothing struct{}
	return c.call(ctx, http.MethodDelete, path+"?"+url.Values{"boot": {boot}}.Encode(), nil, &nothing)
}

// Orders returns a host's orders once they differ from those of the given
// epoch and revision, or after wait.
func (c *Client) Orders(ctx context.Context, host, epoch string, after uint64, wait time.Duration) (Orders, error) {
	var o Orders
	q := pollQuery(after, wait)
	q.Set("host", host)
	q.Set("epoch", epoch)
	return o, c.poll(ctx, PathOrders+"?"+q.Encode(), wait, &o)
}

// Report tells the seeder where a host stands.
func (c *Client) Report(ctx context.Context, r Report) (Receipt, error) {
	var answer Receipt
	return answer, c.call(ctx, http.MethodPost, PathReports, r, &answer)
}

// Torrent returns the bencoded torrent of an artifact.
func (c *Client) Torrent(ctx context.Context, artifact release.Digest) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.send(ctx, http.MethodGet, strings.Replace(PathTorrents, "{digest}", artifact.String(), 1), nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxTorrentLen+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case len(b) > MaxTorrentLen:
		return nil, fmt.Errorf("torrent of %s: over %d bytes", artifact, MaxTorrentLen)
	}
	return b, nil
}

func pollQuery(after uint64, wait time.Duration) url.Values {
	return url.Values{"after": {strconv.FormatUint(after, 10)}, "wait": {wait.String()}}
}

func (c *Client) poll(ctx context.Context, path string, wait time.Duration, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, wait+callTimeout)
	defer cancel()
	res, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return decode(res, answer)
}

func (c *Client) call(ctx context.Context, method, path string, req, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.exchange(ctx, method, path, req, answer)
}

func (c *Client) create(ctx context.Context, path string, req, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	return c.exchange(ctx, http.MethodPost, path, req, answer)
}

// exchange sends a document, if there is one, and reads the one that answers.
func (c *Client) exchange(ctx context.Context, method, path string, req, answer any) error {
	var body io.Reader
	if req != nil {
		b, err := json.Marshal(req)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	res, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	return decode(res, answer)
}

// send makes a call whose body, if there is one, is JSON.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("call seeder: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	return c.do(req)
}

// do returns an answer of status 2xx with its body open, or the error that the
// seeder gave instead.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	if e := ReadError(res); e != nil {
		return nil, e
	}
	return nil, fmt.Errorf("%w: %s answered %s, not as a seeder does", ErrUnreachable, req.URL.Host, res.Status)
}

func decode(res *http.Response, answer any) error {
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswerLen)).Decode(answer); err != nil {
		return fmt.Errorf("%w: read answer of %s: %w", ErrUnreachable, res.Request.URL.Path, err)
	}
	drain(res)
	return nil
}
