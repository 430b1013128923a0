package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"crow/internal/release"
)

// Limits of what is read of an agent, in bytes.
const (
	maxAnswerLen = 64 << 20 // a million leftovers
	maxErrorLen  = 4 << 10
)

// Client calls the agent of one data directory. Its calls take as long as the
// agent does.
type Client struct{ http *http.Client }

// NewClient makes a client of the agent whose state folder that is.
func NewClient(stateDir string) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, stateDir) },
	}}}
}

// Clear has the agent remove what nobody needs, or say what that is. The error
// is ErrNoAgent if none runs.
func (c *Client) Clear(ctx context.Context, dryRun bool) (Cleared, error) {
	body, err := c.call(ctx, PathClear, url.Values{"dry_run": {strconv.FormatBool(dryRun)}})
	if err != nil {
		return Cleared{}, err
	}
	defer body.Close()
	var answer Cleared
	if err := json.NewDecoder(io.LimitReader(body, maxAnswerLen)).Decode(&answer); err != nil {
		return Cleared{}, fmt.Errorf("read the agent's answer: %w", err)
	}
	return answer, nil
}

// Verify has the agent verify what it has, of one app or of all, and calls each
// with every result as it comes. The error is ErrNoAgent if none runs.
func (c *Client) Verify(ctx context.Context, app string, mendLive bool, each func(Checked)) error {
	body, err := c.call(ctx, PathVerify, url.Values{"app": {app}, "mend_live": {strconv.FormatBool(mendLive)}})
	if err != nil {
		return err
	}
	defer body.Close()
	d := json.NewDecoder(io.LimitReader(body, maxAnswerLen))
	for {
		var l Line
		if err := d.Decode(&l); err != nil {
			return fmt.Errorf("read the agent's answer: it broke off: %w", err)
		}
		switch {
		case l.End && l.Error != "":
			return errors.New(l.Error)
		case l.End:
			return nil
		}
		l.Checked.Done, l.Checked.Of = l.Done, l.Of
		each(l.Checked)
	}
}

// Line is one line of a verification: a result, or the end.
type Line struct {
	Checked
	Done  int    `json:"done"`
	Of    int    `json:"of"`
	End   bool   `json:"end,omitempty"`
	Error string `json:"error,omitempty"` // why it ended early
}

func (c *Client) call(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(r)
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxErrorLen))
	if err != nil {
		return nil, fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil, errors.New(release.Printable(strings.TrimSpace(string(b))))
}
