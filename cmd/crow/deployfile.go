package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// Bounds of what deploy -f reads, in bytes: a file that people write has as many
// targets as a file of names, and a deploy's document many hosts.
const (
	maxDeployFile     = maxTargetFile
	maxDeployDocument = 64 << 20
)

// deployFile is what a file says of a deploy, by the names that the API has.
type deployFile struct {
	App         word          `yaml:"app"`
	Version     word          `yaml:"version"`
	Target      words         `yaml:"target"`  // one, or a list
	Exclude     words         `yaml:"exclude"` // one, or a list
	Wave        words         `yaml:"wave"`    // 1,10%,100% or a list
	WavePause   time.Duration `yaml:"wave_pause"`
	HostsAtOnce int           `yaml:"hosts_at_once"`
	MaxFailures word          `yaml:"max_failures"` // N or P%
	OnFailure   word          `yaml:"on_failure"`
	FetchOnly   bool          `yaml:"fetch_only"`
	Key         word          `yaml:"idempotency_key"`
	Timeout     time.Duration `yaml:"timeout"`
	Detach      bool          `yaml:"detach"`
}

// readRollout reads the deploy that a file asks for; - is standard input.
func readRollout(path string) (rollout, error) {
	name, b, err := readDeployFile(path)
	if err != nil {
		return rollout{}, deployFileFault(name, err, "")
	}
	if o, ok := rolloutOfDocument(b); ok {
		return o, nil
	}
	if len(b) > maxDeployFile {
		return rollout{}, deployFileFault(name, fmt.Errorf("it is over %d bytes", maxDeployFile), "")
	}
	f, err := decodeConfig(b, deployFile{})
	if err != nil {
		text, hint := explainYAML(err, yamlKeys(reflect.TypeFor[deployFile](), ""))
		if key := guiltyKey(b, deployFile{}); key != "" {
			text = key + ": " + strings.TrimPrefix(text, key+": ")
		}
		return rollout{}, deployFileFault(name, errors.New(text), hint)
	}
	o, err := f.rollout()
	if err != nil {
		return o, deployFileFault(name, err, "")
	}
	return o, nil
}

func deployFileFault(name string, err error, hint string) error {
	words := reason(err)
	if own, ok := errors.AsType[*fault](err); ok { // of a file that it names
		words = own.text
	}
	return &fault{kind: usage, text: fmt.Sprintf("deploy file %s: %s", name, words), hint: hint, cause: err}
}

func readDeployFile(path string) (name string, b []byte, err error) {
	if path != "-" {
		b, err = readBounded(path, maxDeployDocument)
		return path, b, err
	}
	b, err = io.ReadAll(io.LimitReader(os.Stdin, maxDeployDocument+1))
	if err == nil && len(b) > maxDeployDocument {
		err = fmt.Errorf("it is over %d bytes", maxDeployDocument)
	}
	return "(standard input)", b, err
}

// rolloutOfDocument takes what a deploy's own document says of what was asked for:
// so what went well once can be asked for again.
func rolloutOfDocument(b []byte) (rollout, bool) {
	var is struct {
		Schema int    `json:"schema"`
		Deploy string `json:"deploy"`
	}
	var st control.DeployStatus
	if json.Unmarshal(b, &is) != nil || is.Schema == 0 || is.Deploy == "" || json.Unmarshal(b, &st) != nil {
		return rollout{}, false
	}
	return rollout{
		ref: release.Ref{App: st.App, Version: st.Version}, selector: st.Target, steps: st.Rollout, timeout: defaultTimeout,
		unsigned: st.Rollback,
	}, true
}

// rollout is the deploy that the file asks for. Whether that makes sense is checked
// when flags have had their say.
func (f deployFile) rollout() (o rollout, err error) {
	o = rollout{ref: release.Ref{App: string(f.App), Version: string(f.Version)}, key: string(f.Key), detach: f.Detach, timeout: f.Timeout}
	if o.timeout == 0 {
		o.timeout = defaultTimeout
	}
	o.steps = release.Rollout{
		WavePause: release.Duration(f.WavePause), HostsAtOnce: f.HostsAtOnce,
		OnFailure: release.OnFailure(f.OnFailure), FetchOnly: f.FetchOnly,
	}
	if o.selector.Targets, err = exprsOf("target", f.Target); err != nil {
		return o, err
	}
	if o.selector.Excludes, err = exprsOf("exclude", f.Exclude); err != nil {
		return o, err
	}
	if len(f.Wave) > 0 {
		if o.steps.Waves, err = parseWaves(strings.Join(f.Wave, ",")); err != nil {
			return o, fmt.Errorf("wave: %w", err)
		}
	}
	if f.MaxFailures != "" {
		share, err := release.ParseShare(string(f.MaxFailures))
		if err != nil {
			return o, fmt.Errorf("max_failures: %w", err)
		}
		o.steps.MaxFailures = &share
	}
	return o, nil
}
