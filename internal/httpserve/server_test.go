package httpserve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"crow/internal/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is what a test waits for things that take milliseconds.
const deadline = 10 * time.Second

// start runs a server for the test and returns it with what stops it and
// waits for its error.
func start(t *testing.T, h http.HandlerFunc, change func(*Server)) (*Server, func() error) {
	t.Helper()
	s, err := New(Config{Listen: "127.0.0.1:0", Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	stop := func() error {
		cancel()
		select {
		case err := <-ran:
			ran <- err
			return err
		case <-time.After(deadline):
			return errors.New("server does not stop")
		}
	}
	t.Cleanup(func() { _ = stop() }) // checked by the tests that it matters to
	return s, stop
}

func client(t *testing.T) *http.Client {
	c := transport.Security{}.HTTPClient()
	c.Timeout = deadline
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServes(t *testing.T) {
	s, stop := start(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+r.URL.Path) }, nil)
	base := "http://" + s.Addr().String()
	c := client(t)
	for _, test := range []struct {
		path, body string
	}{{"/", "hello /"}, {"/v1/x", "hello /v1/x"}, {"/healthz", "ok\n"}, {"/healthz/", "hello /healthz/"}} {
		if status, body := get(t, c, base+test.path); status != 200 || body != test.body {
			t.Errorf("%s: got %d %q, want 200 %q", test.path, status, body, test.body)
		}
	}
	res, err := c.Post(base+PathHealth, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST %s: got %d", PathHealth, res.StatusCode)
	}
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("the port is still open after Run")
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := New(Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	addr := taken.Addr().String()
	_, err = New(Config{Listen: addr})
	if !errors.Is(err, syscall.EADDRINUSE) || err.Error() != "listen on "+addr+": address already in use" {
		t.Errorf("port in use: got %v", err)
	}
	if _, err := New(Config{Listen: "0.0.0.0:0"}); !errors.Is(err, transport.ErrInsecure) {
		t.Errorf("not loopback: got %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := New(Config{Listen: addr})
	if err != nil {
		t.Fatalf("the port of a closed server: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestStopEndsLongPolls(t *testing.T) {
	entered := make(chan struct{})
	s, stop := start(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		fmt.Fprint(w, "stopping")
	}, nil)
	answer := make(chan string, 1)
	c := client(t)
	go func() {
		res, err := c.Get("http://" + s.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body) // what was read is compared
		answer <- string(b)
	}()
	<-entered
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if got := <-answer; got != "stopping" {
		t.Errorf("long poll got %q", got)
	}
	if took := time.Since(began); took > grace/2 {
		t.Errorf("stopping took %s", took)
	}
}

// A client's spare connection, on which nothing was sent, must not hold up the
// end.
func TestStopWithUnusedConnection(t *testing.T) {
	s, stop := start(t, nil, nil)
	unused := dial(t, s)
	if status, _ := get(t, client(t), "http://"+s.Addr().String()+PathHealth); status != 200 {
		t.Fatalf("healthz: %d", status) // and the server has accepted both
	}
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	if took := time.Since(began); took > grace/2 {
		t.Errorf("stopping took %s", took)
	}
	if _, err := unused.Read(make([]byte, 1)); err == nil {
		t.Error("the unused connection is still open")
	}
}

// An upload that goes on when the server stops is cut off after the grace, and
// Run returns only after its handler has.
func TestStopCutsOffUpload(t *testing.T) {
	entered, left := make(chan struct{}), make(chan error, 1)
	s, stop := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		_, err := io.Copy(io.Discard, r.Body)
		<-time.After(50 * time.Millisecond) // tidying up
		left <- err
	}, nil)
	c := dial(t, s)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
	<-entered
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	select {
	case err := <-left:
		if err == nil {
			t.Error("a cut upload looked complete")
		}
	default:
		t.Error("Run returned while a handler was running")
	}
}

func TestStalledBodyFails(t *testing.T) {
	failed := make(chan error, 1)
	s, _ := start(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
	}, func(s *Server) { s.stall = 50 * time.Millisecond })
	c := dial(t, s)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
	var timeout net.Error
	if err := <-failed; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestStalledAnswerFails(t *testing.T) {
	failed := make(chan error, 1)
	s, _ := start(t, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				failed <- err
				return
			}
		}
	}, func(s *Server) { s.stall = 50 * time.Millisecond })
	fmt.Fprint(dial(t, s), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	var timeout net.Error
	if err := <-failed; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
}

// A handler may take longer than the stall limit, behind a body's end and on a
// connection that served requests before.
func TestSlowHandlerIsNoStall(t *testing.T) {
	const stall = 20 * time.Millisecond
	s, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		for range 2 { // the second time there is nothing left
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Error(err)
			}
		}
		select {
		case <-r.Context().Done():
			t.Error("the request was cancelled")
		case <-time.After(3 * stall):
		}
		if r.URL.Path == "/silent" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprint(w, "hello")
	}, func(s *Server) { s.stall = stall })
	c := dial(t, s)
	in := bufio.NewReader(c)
	for _, path := range []string{"/", "/silent", "/"} {
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nsome", path)
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode/100 != 2 {
			t.Fatalf("%s: got %s, %v", path, res.Status, err)
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	s, _ := start(t, nil, func(s *Server) { s.conns.most = 1 })
	first := dial(t, s)
	ask := func(c net.Conn) error {
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		_, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err
	}
	if err := ask(first); err != nil {
		t.Fatal(err)
	}
	if err := ask(dial(t, s)); err == nil {
		t.Error("a connection above the limit was served")
	}
	first.Close()
	for end := time.Now().Add(deadline); ; {
		if err := ask(dial(t, s)); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatalf("after the first closed: %v", err)
		}
	}
}

func TestPanicIsLogged(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s, stop := start(t, func(http.ResponseWriter, *http.Request) { panic("broken") },
		func(s *Server) { s.http.ErrorLog = errorLog(zap.New(core)) })
	if _, err := client(t).Get("http://" + s.Addr().String()); err == nil {
		t.Error("a panic was answered")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if logs.FilterMessage("http server").Len() == 0 {
		t.Errorf("not logged: %v", logs.All())
	}
}
