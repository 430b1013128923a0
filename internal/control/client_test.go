package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crow/internal/release"
)

// The client's whole conversation with a real seeder is tested in package
// seeder; here is what else may answer at a seeder's address.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clientOf returns a client of a server that answers everything alike.
func clientOf(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return newClient(t, server.URL)
}

func newClient(t *testing.T, url string) *Client {
	t.Helper()
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	c, err := NewClient(url, &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSeederURL(t *testing.T) {
	for _, url := range []string{"", "10.0.0.5:7400", "ftp://x", "http://", "http://a b"} {
		if _, err := NewClient(url, nil); !errors.Is(err, release.ErrInvalid) {
			t.Errorf("%q: error %v", url, err)
		}
	}
}

// TestWhatIsNoSeeder holds that anything but a seeder's answer says that the
// seeder was not reached.
func TestWhatIsNoSeeder(t *testing.T) {
	for name, answer := range map[string]string{
		"a web page":          "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
		"a proxy's error":     "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
		"other JSON":          "HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n{\"error\":\"gone\"}\n",
		"an error of no code": "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\n{\"error\":{}}\n",
		"half an answer":      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{",
		"nothing":             "",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go serveRaw(l, answer)
		_, err = newClient(t, "http://"+l.Addr().String()).Releases(t.Context(), "")
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: error %v", name, err)
		}
		l.Close()
		if _, err = newClient(t, "http://"+l.Addr().String()).Releases(t.Context(), ""); !errors.Is(err, ErrUnreachable) {
			t.Errorf("nobody: error %v", err)
		}
	}
}

// serveRaw gives every connection the same bytes, whatever it asks, until l is
// closed.
func serveRaw(l net.Listener, answer string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, answer)
		conn.Close()
	}
}

func TestErrorKeepsItsCode(t *testing.T) {
	for code, status := range statuses {
		c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":{"code":"`+string(code)+`","message":"why","hint":"what now"}}`)
		})
		_, err := c.Hosts(t.Context(), nil)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != code || e.Error() != "why" || e.Hint != "what now" || e.Status() != status {
			t.Errorf("%s: error %+v", code, err)
		}
	}
	if got := (&Error{Code: "new"}).Status(); got != http.StatusInternalServerError {
		t.Errorf("a code that nobody knows has status %d", got)
	}
}

func TestTorrentIsBounded(t *testing.T) {
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, endless{}, MaxTorrentLen+1)
	})
	if _, err := c.Torrent(t.Context(), release.Digest{}); err == nil || !strings.Contains(err.Error(), "over") {
		t.Errorf("error %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestCallsEndWithTheirContext hangs a poll and an upload up.
func TestCallsEndWithTheirContext(t *testing.T) {
	c := clientOf(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Orders(ctx, "a", "", 0, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("poll: error %v", err)
	}
	if _, err := c.Upload(ctx, endless{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("upload: error %v", err)
	}
}

// TestNamesAreEscaped sends names that would otherwise be other paths and
// queries.
func TestNamesAreEscaped(t *testing.T) {
	var path, query string
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		path, query = r.URL.EscapedPath(), r.URL.RawQuery
		_, _ = io.WriteString(w, "{}")
	})
	if _, err := c.Status(t.Context(), "../hosts?x", 7, time.Second); err != nil {
		t.Fatal(err)
	}
	if path != "/v1/deploys/..%2Fhosts%3Fx" || query != "after=7&wait=1s" {
		t.Errorf("asked for %s ? %s", path, query)
	}
	if _, err := c.Hosts(t.Context(), []release.Expr{"a=b,c!=d", "name=x&y"}); err == nil {
		t.Error("an object is no list")
	}
	if query != "target=a%3Db%2Cc%21%3Dd&target=name%3Dx%26y" {
		t.Errorf("targets are asked for as %s", query)
	}
}

// recorder is a transport that notes each call's deadline and answers nothing.
type recorder struct{ left time.Duration }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	deadline, _ := req.Context().Deadline()
	r.left = time.Until(deadline)
	return nil, io.ErrUnexpectedEOF
}

// TestCreationsMayTakeLong holds that calls for which the seeder may have to hash
// an artifact have the time for it, and others do not.
func TestCreationsMayTakeLong(t *testing.T) {
	var r recorder
	c, err := NewClient("http://10.0.0.5:7400", &http.Client{Transport: &r})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"release": func() error { _, err := c.CreateRelease(t.Context(), CreateRelease{}); return err },
		"deploy":  func() error { _, err := c.CreateDeploy(t.Context(), CreateDeploy{}); return err },
	} {
		if err := call(); !errors.Is(err, ErrUnreachable) || r.left <= callTimeout || r.left > createTimeout {
			t.Errorf("%s: %s left, error %v", name, r.left, err)
		}
	}
	if _, err := c.Hosts(t.Context(), nil); !errors.Is(err, ErrUnreachable) || r.left > callTimeout {
		t.Errorf("hosts: %s left, error %v", r.left, err)
	}
}

// TestConnectionsAreUsedAgain has a seeder answer in chunks, of which the last
// ones come after all that a decoder needs.
func TestConnectionsAreUsedAgain(t *testing.T) {
	callers := map[string]bool{}
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		callers[r.RemoteAddr] = true
		answer := "[]"
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"error":{"code":"not_found","message":"why"}}`
		}
		_, _ = io.WriteString(w, answer)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, strings.Repeat("\n", maxRest/2))
	})
	for range 5 {
		if _, err := c.Hosts(t.Context(), nil); err != nil {
			t.Error(err)
		}
		if _, err := c.CreateRelease(t.Context(), CreateRelease{}); err == nil {
			t.Error("an error is no answer")
		}
	}
	if len(callers) != 1 {
		t.Errorf("10 calls took %d connections", len(callers))
	}
}

func TestErrorGoesAndComes(t *testing.T) {
	want := Error{Code: CodeFull, Message: "why", Hint: "what now"}
	w := httptest.NewRecorder()
	WriteError(w, &want)
	res := w.Result()
	if res.StatusCode != http.StatusInsufficientStorage || res.Header.Get("Content-Length") == "" {
		t.Errorf("status %d, headers %v", res.StatusCode, res.Header)
	}
	if got := ReadError(res); got == nil || *got != want {
		t.Errorf("got %+v", got)
	}
	for _, body := range []string{"", "{}", "[]", `{"error":{}}`, `{"error":{"message":"why"}}`} {
		if got := ReadError(&http.Response{Body: io.NopCloser(bytes.NewReader([]byte(body)))}); got != nil {
			t.Errorf("%q: got %+v", body, got)
		}
	}
}
