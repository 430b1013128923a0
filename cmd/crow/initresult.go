package main

import (
	"fmt"
	"path/filepath"

	"crow/internal/pki"
)

// initSchema is the version of newFleet.
const initSchema = 1

// newFleet is crow init --output json. Fields are only ever added.
type newFleet struct {
	Schema     int      `json:"schema"`
	Fleet      string   `json:"fleet"`
	Dir        string   `json:"dir"`
	Seeder     string   `json:"seeder"` // URL
	Config     string   `json:"config"` // what CROW_CONFIG should name
	SigningKey keyInfo  `json:"signing_key"`
	ForSeeder  []string `json:"for_seeder"` // paths, to copy to etcDir there
	ForHosts   []string `json:"for_hosts"`  // paths, to copy to etcDir on each host, with its own certificate
	Secret     []string `json:"secret"`     // paths of what belongs on no server
}

func newFleetOf(f founding, made founded) newFleet {
	in := func(names ...string) (paths []string) {
		for _, n := range names {
			paths = append(paths, filepath.Join(f.dir, n))
		}
		return paths
	}
	public := made.key.Public()
	all := []string{filepath.Join(caFolder, pki.CertFile), filepath.Join(caFolder, pki.CRLFile), gossipKeyFile}
	return newFleet{
		Schema: initSchema, Fleet: f.fleet, Dir: f.dir, Seeder: f.seeder.url(), Config: filepath.Join(f.dir, operatorConfig),
		SigningKey: keyInfo{filepath.Join(f.dir, signingKeyFile), keySecret, public.ID(), public.String()},
		ForSeeder:  in(append([]string{seederConfig, seederName + certSuffix, seederName + keySuffix}, all...)...),
		ForHosts:   in(append([]string{peerConfig}, all...)...),
		Secret:     in(filepath.Join(caFolder, pki.KeyFile), signingKeyFile, operatorName+keySuffix),
	}
}

// writeFounded tells what goes where.
func (s *session) writeFounded(f founding, made founded) error {
	doc := newFleetOf(f, made)
	if s.output != outputText {
		return s.writeJSON(doc)
	}
	common := fmt.Sprintf("%s %s %s", filepath.Join(caFolder, pki.CertFile), filepath.Join(caFolder, pki.CRLFile), gossipKeyFile)
	fmt.Fprintf(s.out, "fleet %s is founded in %s; copy from there:\n", f.fleet, f.dir)
	writeTable(s.out, [][]string{
		{"  to the seeder's " + etcDir, "seeder.yaml seeder.crt seeder.key " + common},
		{"  to each host's " + etcDir, "peer.yaml " + common + ", and a certificate of its own:"},
	})
	fmt.Fprintf(s.out, "    crow cert issue --role peer --name %s --host %s --ca %s\n", examplePeer, examplePeerIP(f.seeder.ip), filepath.Join(f.dir, caFolder))
	fmt.Fprintf(s.out, "to no server: %s, which makes anyone one of the fleet, and %s, which signs releases; keep a copy of both\n", filepath.Join(caFolder, pki.KeyFile), signingKeyFile)
	fmt.Fprintf(s.out, "from here: export CROW_CONFIG=%s\n", doc.Config)
	return nil
}
