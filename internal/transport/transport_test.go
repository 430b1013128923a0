package transport

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"

	"crow/internal/release"
)

func TestCheckKeepsClearTextOnLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:7400": true, "127.9.8.7:1": true, "[::1]:7400": true, "localhost:7400": true,
		"0.0.0.0:7400": false, ":7400": false, "10.0.0.5:7400": false, "[::]:7400": false, "seeder:7400": false,
	} {
		if err := (Security{}).Check(addr); (err == nil) != ok || !ok && !errors.Is(err, ErrInsecure) {
			t.Errorf("%s: %v", addr, err)
		}
		if err := (Security{Insecure: true}).Check(addr); err != nil {
			t.Errorf("%s, with insecure: %v", addr, err)
		}
	}
	for _, addr := range []string{"", "127.0.0.1", "7400", "localhost:99999", "localhost:-1", "localhost:http", "localhost:"} {
		if err := (Security{Insecure: true}).Check(addr); !errors.Is(err, release.ErrInvalid) {
			t.Errorf("%q is no address: %v", addr, err)
		}
	}
}

func TestListenNamesAddressAndCause(t *testing.T) {
	l, err := Security{}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Security{}.Listen(l.Addr().String())
	if want := "listen on " + l.Addr().String() + ": address already in use"; !errors.Is(err, syscall.EADDRINUSE) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := (Security{}).Listen("0.0.0.0:0"); !errors.Is(err, ErrInsecure) {
		t.Errorf("all addresses were bound without TLS: %v", err)
	}
}

func TestListenPacketNamesAddressAndCause(t *testing.T) {
	c, err := Security{}.ListenPacket("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = Security{}.ListenPacket(c.LocalAddr().String())
	if want := "listen on " + c.LocalAddr().String() + ": address already in use"; !errors.Is(err, syscall.EADDRINUSE) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := (Security{}).ListenPacket("0.0.0.0:0"); !errors.Is(err, ErrInsecure) {
		t.Errorf("all addresses were bound without TLS: %v", err)
	}
}

func TestHTTPClientReachesListener(t *testing.T) {
	l, err := Security{}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "caw") })}
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // is not asked: the fleet's addresses are direct
	client := Security{}.HTTPClient()
	res, err := client.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || string(body) != "caw" {
		t.Errorf("%q, %v", body, err)
	}
	client.CloseIdleConnections()
	server.Close()
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
