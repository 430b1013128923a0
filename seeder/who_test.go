package seeder

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/pki"
	"crow/internal/release"
	"crow/internal/transport"
)

// issuer makes certificates of one fleet.
type issuer struct {
	t   *testing.T
	dir string
	ca  *pki.CA
}

func newIssuer(t *testing.T, fleet string) issuer {
	i := issuer{t: t, dir: t.TempDir(), ca: must[*pki.CA](t)(pki.NewCA(fleet, time.Now()))}
	if err := i.ca.Save(i.dir); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i issuer) tls(r pki.Request) transport.TLS {
	i.t.Helper()
	cert, key, err := i.ca.Issue(r)
	if err != nil {
		i.t.Fatal(err)
	}
	path := filepath.Join(i.dir, r.Role+"-"+r.Name)
	for suffix, b := range map[string][]byte{".crt": cert, ".key": key} {
		if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
			i.t.Fatal(err)
		}
	}
	return transport.TLS{CA: filepath.Join(i.dir, pki.CertFile), Cert: path + ".crt", Key: path + ".key"}
}

// client is an HTTP client with a certificate of its own.
func (i issuer) client(r pki.Request) *http.Client {
	i.t.Helper()
	safe := must[transport.Security](i.t)(transport.Open(i.tls(r), false, nil))
	c := safe.HTTPClient()
	c.Timeout = 10 * time.Second
	i.t.Cleanup(c.CloseIdleConnections)
	return c
}

// startSafe runs a seeder with TLS and returns its URL.
func startSafe(t *testing.T, i issuer) (s *Seeder, url string) {
	t.Helper()
	cfg := testConfig(t.TempDir())
	cfg.TLS = i.tls(pki.Request{Role: "seeder", Name: "seeder-1", Hosts: []string{"127.0.0.1"}})
	s, _, _ = start(t, cfg, nil)
	return s, "https://" + s.Addr().String()
}

func status(t *testing.T, c *http.Client, method, url, body string) (int, string) {
	t.Helper()
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body)))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, string(must[[]byte](t)(io.ReadAll(res.Body)))
}

func TestRolesMayDoTheirOwn(t *testing.T) {
	i := newIssuer(t, "fleet")
	_, url := startSafe(t, i)
	clients := map[string]*http.Client{}
	for _, role := range pki.Roles {
		clients[role] = i.client(pki.Request{Role: role, Name: "a", Hosts: []string{"127.0.0.1"}})
	}
	digest := release.Digest{1}.String()
	for call, roles := range map[string]string{
		"POST /v1/blobs":                   "operator",
		"POST /v1/releases":                "operator",
		"GET /v1/releases":                 "operator",
		"POST /v1/releases/a/1/signatures": "operator",
		"POST /v1/deploys":                 "operator",
		"POST /v1/keyed":                   "operator",
		"GET /v1/deploys/web":              "operator",
		"GET /v1/history":                  "operator",
		"GET /v1/hosts":                    "operator",
		"POST /v1/limits":                  "operator",
		"GET /v1/limits/seeder":            "operator",
		"POST /v1/limits/seeder":           "operator",
		"POST /v1/gossip/key":              "operator",
		"PUT /v1/hosts/a":                  "peer",
		"DELETE /v1/hosts/a":               "peer",
		"GET /v1/orders?host=a":            "peer",
		"POST /v1/reports":                 "peer",
		"GET /v1/torrents/" + digest:       "peer seeder operator",
		"GET /blobs/" + digest:             "peer seeder operator",
		"GET /metrics":                     "peer seeder operator tracker",
		"GET /healthz":                     "peer seeder operator tracker",
	} {
		method, path, _ := strings.Cut(call, " ")
		for role, c := range clients {
			code, body := status(t, c, method, url+path, map[bool]string{true: "{}"}[method == "POST" || method == "PUT"])
			refused := code == http.StatusForbidden && strings.Contains(body, "is for the role")
			if may := strings.Contains(" "+roles+" ", " "+role+" "); may == refused {
				t.Errorf("%s as %s: status %d %s", call, role, code, body)
			}
		}
	}
}

func TestHostsSpeakForThemselves(t *testing.T) {
	i := newIssuer(t, "fleet")
	_, url := startSafe(t, i)
	a := i.client(pki.Request{Role: "peer", Name: "a", Hosts: []string{"127.0.0.21"}})
	hello := func(address string) string {
		return fmt.Sprintf(`{"boot":"1","address":%q,"swarm_port":1,"labels":{},"apps":[],"crow":"test"}`, address)
	}
	for _, c := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"own name and address", "PUT", "/v1/hosts/a", hello("127.0.0.21"), 200},
		{"another's address", "PUT", "/v1/hosts/a", hello("127.0.0.22"), 403},
		{"the address it calls from", "PUT", "/v1/hosts/a", hello("127.0.0.1"), 403},
		{"another's name", "PUT", "/v1/hosts/b", hello("127.0.0.21"), 403},
		{"own orders", "GET", "/v1/orders?host=a", "", 200},
		{"another's orders", "GET", "/v1/orders?host=b", "", 403},
		{"no name's orders", "GET", "/v1/orders", "", 403},
		{"own report", "POST", "/v1/reports", `{"host":"a","boot":"1","seq":1}`, 200},
		{"another's report", "POST", "/v1/reports", `{"host":"b","boot":"1","seq":1}`, 403},
		{"another's goodbye", "DELETE", "/v1/hosts/b?boot=1", "", 403},
		{"own goodbye", "DELETE", "/v1/hosts/a?boot=1", "", 200},
	} {
		if code, body := status(t, a, c.method, url+c.path, c.body); code != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, code, c.want, body)
		}
	}
	operator := i.client(pki.Request{Role: "operator", Name: "ann"})
	if _, body := status(t, operator, "GET", url+"/v1/hosts", ""); !strings.Contains(body, `"cert_expires":"20`) {
		t.Errorf("hosts: %s", body)
	}
}

// A client without a certificate of the fleet gets no byte, on any port.
func TestStrangersGetNothing(t *testing.T) {
	i := newIssuer(t, "fleet")
	s, url := startSafe(t, i)
	foreign := newIssuer(t, "fleet").client(pki.Request{Role: "operator", Name: "ann"})
	if res, err := foreign.Get(url + "/v1/releases"); err == nil {
		res.Body.Close()
		t.Error("a certificate of another CA was answered")
	}
	for name, addr := range map[string]netip.AddrPort{"control": s.Addr(), "swarm": s.SwarmAddr()} {
		c := must[net.Conn](t)(net.Dial("tcp", addr.String()))
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(c, "GET /v1/releases HTTP/1.1\r\nHost: x\r\n\r\n")
		answer, _ := io.ReadAll(c) // a reset is as good as an end
		if strings.Contains(string(answer), "HTTP") || len(answer) > 7 {
			t.Errorf("%s: a stranger got %q", name, answer)
		}
	}
}

func TestHistoryNamesTheCaller(t *testing.T) {
	i := newIssuer(t, "fleet")
	_, url := startSafe(t, i)
	c := must[*control.Client](t)(control.NewClient(url, i.client(pki.Request{Role: "operator", Name: "ann"})))
	pushTo(t, c, "1.0", 1000)
	_, err := c.CreateDeploy(t.Context(), request("web", "1.0", "role=none"))
	wantCode(t, err, control.CodeNoHost)
	entries := must[[]control.HistoryEntry](t)(c.History(t.Context(), "web", 10))
	if len(entries) != 2 {
		t.Fatalf("entries are %+v", entries)
	}
	deploy, push := entries[0], entries[1]
	if push.Who != "ann" || push.Role != "operator" || push.Action != control.ActionPush || push.Result != control.ResultOK || push.Version != "1.0" {
		t.Errorf("the push is %+v", push)
	}
	if deploy.Who != "ann" || deploy.Action != control.ActionDeploy || deploy.Result != string(control.CodeNoHost) || !strings.Contains(deploy.Message, "role=none") {
		t.Errorf("the deploy is %+v", deploy)
	}
}

// Who tries what its role does not allow is in the log of who did what; a host's own
// calls, and those that change nothing, are not; nor does it fill up.
func TestRefusedCallsAreRemembered(t *testing.T) {
	i := newIssuer(t, "fleet")
	_, url := startSafe(t, i)
	c := must[*control.Client](t)(control.NewClient(url, i.client(pki.Request{Role: "operator", Name: "ann"})))
	peer := i.client(pki.Request{Role: "peer", Name: "web-1", Hosts: []string{"127.0.0.1"}})
	for range 60 {
		status(t, peer, "POST", url+"/v1/deploys", "{}")
	}
	status(t, peer, "GET", url+"/v1/releases", "")
	status(t, peer, "PUT", url+"/v1/hosts/other", "{}")
	entries := must[[]control.HistoryEntry](t)(c.History(t.Context(), "", 1000))
	if len(entries) < 1 || len(entries) > 30 {
		t.Fatalf("60 calls have %d entries", len(entries))
	}
	for _, e := range entries {
		if e.Who != "web-1" || e.Role != "peer" || e.Action != control.ActionCall || e.Result != string(control.CodeForbidden) || !strings.Contains(e.Message, "/v1/deploys") {
			t.Errorf("entry is %+v", e)
		}
	}
}
