package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/signing"
	"crow/internal/transport"
)

const defaultSeeder = "http://127.0.0.1:7400"

// output is the form of a command's result.
type output string

const (
	outputText  output = "text"
	outputJSON  output = "json"  // one document
	outputJSONL output = "jsonl" // one document a line: each change, then the result
)

// progressMode is the form of the progress on stderr.
type progressMode string

const (
	progressAuto  progressMode = "auto" // tty on a terminal, else plain
	progressTTY   progressMode = "tty"
	progressPlain progressMode = "plain"
	progressNone  progressMode = "none"
)

// clientConfig is the file that --config names for client commands. Flags and
// CROW_* variables go before it.
type clientConfig struct {
	Seeder   string        `yaml:"seeder"`    // URL
	Output   string        `yaml:"output"`    // text, json or jsonl
	Progress string        `yaml:"progress"`  // auto, tty, plain or none
	LogLevel string        `yaml:"log_level"` // debug, info, warn or error
	Quiet    bool          `yaml:"quiet"`
	TLS      transport.TLS `yaml:"tls"`       // off, or an operator's certificate; left out: off
	Trust    signing.Trust `yaml:"trust"`     // whose releases count when a counter is chosen; besides those of sign_keys
	SignKeys []string      `yaml:"sign_keys"` // paths of secret keys that push, sign and rollback sign with
}

// readClientConfig reads the file at path; without a path nothing is set.
func readClientConfig(path string) (clientConfig, error) {
	if path == "" {
		return clientConfig{}, nil
	}
	return readConfig(path, clientConfig{})
}

// session is one command's settings and streams.
type session struct {
	streams
	seederURL string
	output    output
	progress  progressMode // never auto
	quiet     bool
	tls       transport.TLS
	trust     signing.Trust
	signKeys  []string // paths
	log       *zap.Logger
}

// session resolves the global settings: flag, then CROW_*, then config file,
// then default.
func (a *app) session(cmd *cli.Command, file clientConfig, level string) (*session, error) {
	s := &session{streams: a.std, seederURL: pick(cmd, "seeder", file.Seeder, defaultSeeder), quiet: file.Quiet, tls: file.TLS, trust: file.Trust, signKeys: file.SignKeys}
	if cmd.IsSet("quiet") {
		s.quiet = cmd.Bool("quiet")
	}
	var err error
	if s.output, err = pickOne(cmd, "output", file.Output, outputText, outputJSON, outputJSONL); err != nil {
		return nil, err
	}
	s.progress, err = pickOne(cmd, "progress", file.Progress, progressAuto, progressTTY, progressPlain, progressNone)
	if err != nil {
		return nil, err
	}
	s.progress = resolveProgress(s.progress, s.terminal, s.quiet)
	s.log, err = newLogger(a.std, pick(cmd, "log-level", file.LogLevel, level))
	return s, err
}

// pick is the value of a global flag or its variable, else the config file's,
// else the default. An empty value is none.
func pick(cmd *cli.Command, name, file, otherwise string) string {
	for _, v := range []string{cmd.String(name), file} {
		if v != "" {
			return v
		}
	}
	return otherwise
}

// pickOne is pick for a flag that takes one of choices, the first by default.
func pickOne[T ~string](cmd *cli.Command, name, file string, choices ...T) (T, error) {
	v := T(pick(cmd, name, file, string(choices[0])))
	if slices.Contains(choices, v) {
		return v, nil
	}
	var names []string
	for _, c := range choices {
		names = append(names, string(c))
	}
	return "", usagef("--%s %q: want one of %s", name, string(v), strings.Join(names, ", "))
}

func resolveProgress(mode progressMode, terminal, quiet bool) progressMode {
	switch {
	case quiet:
		return progressNone
	case mode != progressAuto:
		return mode
	case terminal:
		return progressTTY
	}
	return progressPlain
}

// newLogger writes JSON lines to stderr, in the form that log collectors read.
func newLogger(std streams, level string) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil || level == "" {
		return nil, usagef("--log-level %q: want one of debug, info, warn, error", level)
	}
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.Lock(zapcore.AddSync(std.err)), at)
	return zap.New(core), nil
}

// security is that of the config's tls key. Without the key nothing is protected,
// as on loopback; a seeder with TLS then can't be called.
func (s *session) security() (transport.Security, error) {
	config := s.tls
	if config == (transport.TLS{}) {
		config.Off = true
	}
	safe, err := transport.Open(config, true, s.log)
	if err != nil {
		return safe, &fault{kind: usage, text: err.Error(), cause: err}
	}
	if transport.EndsSoon(safe.Expires(), time.Now()) {
		s.note("your certificate ends on %s", safe.Expires().Local().Format(time.DateTime))
	}
	if https := strings.HasPrefix(s.seederURL, "https://"); https != safe.On() {
		text := fmt.Sprintf("seeder %s: the config has a certificate, which only https uses", s.seederURL)
		if https {
			text = fmt.Sprintf("seeder %s wants a certificate", s.seederURL)
		}
		return safe, &fault{kind: usage, text: text, hint: "--config operator.yaml or CROW_CONFIG, as crow init made it"}
	}
	s.noteClear(safe)
	return safe, nil
}

// noteClear tells of calls that anybody on the way can read and change.
func (s *session) noteClear(safe transport.Security) {
	u, err := url.Parse(s.seederURL)
	if err == nil && !safe.On() && u.Host != "" && !transport.IsLoopback(u.Hostname()) {
		s.note("note: %s is called without TLS: for labs alone", s.seederURL)
	}
}

// client returns a client of the seeder that the settings name.
func (s *session) client() (*control.Client, error) {
	safe, err := s.security()
	if err != nil {
		return nil, err
	}
	c, err := control.NewClient(s.seederURL, safe.HTTPClient())
	if err != nil {
		return nil, fmt.Errorf("--seeder: %w", err)
	}
	return c, nil
}

// note tells the user something that is neither result nor error.
func (s *session) note(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintln(s.err, release.Printable(fmt.Sprintf(format, args...), '\n'))
	}
}
