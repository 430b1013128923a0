package main

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"crow/internal/pki"
	"crow/internal/transport"
)

// etcDir is where the example configs expect the files of a host.
const etcDir = "/etc/crow"

//go:embed templates/*.yaml
var templateFiles embed.FS

// templates are the config files of a new fleet. A comment is two blanks behind
// its value: render aligns them.
var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"quote": strconv.Quote,
	"addr":  func(host, port string) string { return strconv.Quote(net.JoinHostPort(host, port)) },
}).ParseFS(templateFiles, "templates/*.yaml"))

// configWords fill the templates.
type configWords struct {
	Fleet      string
	SeederURL  string
	SeederIP   string
	SeederPort string
	SeederAny  string // address that it listens on
	PeerName   string // of an example
	PeerIP     string
	PeerAny    string
	PublicKey  string        // line of the signing key
	SigningKey string        // path
	Operator   transport.TLS // paths
	Etc        string
	CA, CRL    string // names of files
}

// wordsOf is what the configs of the fleet in dir, an absolute path, say. If the
// seeder is on loopback the whole fleet is on this machine, and a host has a
// loopback address of its own.
func wordsOf(dir, fleet string, at seederAddress, public string) configWords {
	w := configWords{
		Fleet: fleet, SeederURL: at.url(), SeederIP: at.ip, SeederPort: at.port, SeederAny: anyAddress(at.ip),
		PeerName: examplePeer, PeerIP: examplePeerIP(at.ip), PeerAny: anyAddress(at.ip),
		PublicKey: public, SigningKey: filepath.Join(dir, signingKeyFile), Operator: tlsFiles(dir, operatorName),
		Etc: etcDir, CA: pki.CertFile, CRL: pki.CRLFile,
	}
	if transport.IsLoopback(at.ip) {
		w.SeederAny, w.PeerAny = at.ip, w.PeerIP
	}
	return w
}

// examplePeer is the host that peer.yaml is of until it is edited.
const examplePeer = "web-1"

// examplePeerIP is another address where the seeder's is.
func examplePeerIP(seeder string) string {
	if transport.IsLoopback(seeder) {
		return "127.0.0.2"
	}
	return "10.0.0.21"
}

// anyAddress stands for all addresses of a machine that is reached at ip.
func anyAddress(ip string) string {
	if strings.Contains(ip, ":") {
		return "::"
	}
	return "0.0.0.0"
}

// render fills the template of a config file.
func (w configWords) render(name string) ([]byte, error) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, w); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return alignComments(b.Bytes()), nil
}

// commentColumn is where comments begin, unless a value is longer.
const commentColumn = 36

func alignComments(text []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		if i := bytes.LastIndex(line, []byte("  # ")); i > 0 {
			line = fmt.Appendf(nil, "%-*s  %s", commentColumn-2, line[:i], line[i+2:])
		}
		b.Write(line)
	}
	return b.Bytes()
}
