package seeder

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
)

// get downloads an artifact from the origin and returns how long that took.
func get(t *testing.T, s *Seeder, blob control.Blob) time.Duration {
	begun := time.Now()
	req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+"/blobs/"+blob.SHA256.String(), nil))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != blob.Size {
		t.Errorf("got %d bytes of %d (%v)", n, blob.Size, err)
	}
	return time.Since(begun)
}

// The upload limit is of all that the seeder sends: the origin keeps to it, and neither
// it nor the swarm gets more than the other if both want all.
func TestOriginSharesTheUploadLimit(t *testing.T) {
	const limit, size = 4 << 20, 6 << 20
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	cfg := testConfig(t.TempDir())
	cfg.Limits.Upload = release.Rate(limit)
	s, c, _ := start(t, cfg, zap.NewNop())
	must[control.Welcome](t)(c.Hello(t.Context(), "a", helloOf("a", nil)))
	_, blob := pushTo(t, c, "1", size)
	must[control.DeployStatus](t)(c.CreateDeploy(t.Context(), request("web", "1", "name=*")))
	alone := time.Duration(size) * time.Second / limit
	if took := get(t, s, blob); took < alone*8/10 || took > alone*12/10 {
		t.Errorf("the origin alone took %s, want %s", took, alone)
	}
	var both sync.WaitGroup
	var origin, swarm time.Duration
	begun := time.Now()
	both.Go(func() { origin = get(t, s, blob) })
	fetch(t, c, blob)
	swarm = time.Since(begun)
	both.Wait()
	t.Logf("at once the origin took %s, the swarm %s, of %s", origin, swarm, 2*alone)
	// Who comes first has all for a moment; what the last has left then goes at full speed.
	if last := max(origin, swarm); last < 2*alone*9/10 || last > 2*alone*12/10 {
		t.Errorf("both took %s, want %s", last, 2*alone)
	}
	if first := min(origin, swarm); first < 2*alone*7/10 {
		t.Errorf("one had its share after %s, and the other waited; want both at %s", first, 2*alone)
	}
}
