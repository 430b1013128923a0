package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"crow/internal/control"
	"crow/internal/pki"
	"crow/internal/transport"
)

const scaleSeederYAML = `name: seeder
data_dir: %q
listen: %[2]s:7400
advertise: %[2]s
swarm_listen: %[2]s:7401
gossip_listen: %[2]s:7402
gossip_key_file: %[3]q
tls: {ca: %[4]q, cert: %[5]q, key: %[6]q, crl: %[7]q}
`

// The paces of simulated hosts: as they would be, and where many deploys follow
// each other.
const (
	usualPace = 1
	rowPace   = 50
)

// scaleFleet is a real seeder and simulated hosts on addresses of loopback that
// are its own.
type scaleFleet struct {
	*stage
	sim    *simulation
	seeder *process
	config string       // of the operator
	calls  *http.Client // of client
	client *control.Client
}

// newScaleFleet founds a fleet as its users do, and makes all certificates.
func newScaleFleet(ctx context.Context, s *stage, hosts, deploys int) (*scaleFleet, error) {
	// An address of a /16 that nobody else is likely to have.
	subnet := fmt.Sprintf("127.%d", 1+rand.IntN(254))
	f := &scaleFleet{stage: s, config: s.path("fleet/operator.yaml")}
	f.sim = &simulation{
		Seeder: "https://" + subnet + ".0.1:7400", Subnet: subnet, CA: s.path("fleet/ca"), Keys: s.path("keys"), Marks: s.path("marks"),
		Hosts: hosts, Failing: failing(hosts), Pace: usualPace, Idle: time.Second,
	}
	if deploys > 1 {
		f.sim.Pace = rowPace
	}
	if _, err := command(ctx, s.tools.crow, "init", s.path("fleet"), "--fleet", "bench", "--seeder", subnet+".0.1", "--no-passphrase", "--quiet"); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Mkdir(f.sim.Keys, 0o755), os.Mkdir(f.sim.Marks, 0o755), f.certify()); err != nil {
		return nil, err
	}
	safe, err := transport.Open(f.sim.tls(s.path("fleet"), operatorName), false, nil)
	if err != nil {
		return nil, err
	}
	f.calls = safe.HTTPClient()
	f.client, err = control.NewClient(f.sim.Seeder, f.calls)
	return f, err
}

// certify makes the hosts' certificates with the fleet's CA.
func (f *scaleFleet) certify() error {
	ca, err := pki.LoadCA(f.sim.CA)
	if err != nil {
		return err
	}
	own := &credentials{dir: f.sim.Keys, ca: ca}
	for i := range f.sim.Hosts {
		r := pki.Request{Role: string(transport.RolePeer), Name: simulatedName(i), Hosts: []string{f.sim.address(i)}}
		if err := own.issue(r); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the seeder and then the hosts, and waits until all have asked for
// their orders.
func (f *scaleFleet) launch(ctx context.Context) error {
	if err := f.addSeeder(); err != nil {
		return err
	}
	err := f.eventually(ctx, func() error {
		_, err := f.client.Hosts(ctx, nil)
		return err
	})
	if err != nil {
		return err
	}
	b, err := json.Marshal(f.sim)
	if err != nil {
		return err
	}
	config := f.path("simulation.json")
	if err := os.WriteFile(config, b, 0o644); err != nil {
		return err
	}
	if _, err := f.start(job{name: "hosts", args: []string{f.tools.self, roleFlag, "hosts", config}}); err != nil {
		return err
	}
	return f.eventually(ctx, func() error {
		_, err := os.Stat(filepath.Join(f.sim.Marks, joinedMark))
		return err
	})
}

func (f *scaleFleet) addSeeder() (err error) {
	t := f.sim.tls(f.path("fleet"), "seeder")
	text := fmt.Sprintf(scaleSeederYAML, f.path("seeder"), f.sim.Subnet+".0.1", f.path("fleet/gossip.key"), t.CA, t.Cert, t.Key, t.CRL)
	config := f.path("seeder.yaml")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	f.seeder, err = f.start(job{name: "seeder", part: partSeeder, args: []string{f.tools.crow, string(transport.RoleSeeder), "--config", config}})
	return err
}

// holding is what the seeder holds now.
func (f *scaleFleet) holding(ctx context.Context) (*holding, error) {
	h, err := holdingOf(ctx, f.seeder.cmd.Process.Pid, f.sim.Seeder+"/metrics", f.calls, f.path("seeder"))
	return &h, err
}
