package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestDeployFiles holds that files come to the request that flags would come to.
func TestDeployFiles(t *testing.T) {
	for name, want := range map[string]string{
		"full.yaml":     `{"app":"web","version":"1.10","targets":["role=web","name=db-*"],"excludes":["zone=c"],"wave":["1","10%","100%"],"wave_pause":"5m0s","hosts_at_once":4,"max_failures":"2","on_failure":"pause","idempotency_key":"build-77"}`,
		"list.json":     `{"app":"web","version":"1.10","targets":["role=web,zone!=b"],"wave":["1","10%","100%"],"max_failures":"5%"}`,
		"document.json": `{"app":"web","version":"1.42.0","targets":["role=web"],"excludes":["zone=b"],"wave":["1","100%"],"wave_pause":"30s","max_failures":"1"}`,
	} {
		o, err := readRollout(filepath.Join("testdata", "deploy", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := requestText(t, o); got != want {
			t.Errorf("%s:\n%s, want\n%s", name, got, want)
		}
		if full := name == "full.yaml"; o.detach != full || full != (o.timeout == 2*time.Hour) {
			t.Errorf("%s: detach %t, timeout %s", name, o.detach, o.timeout)
		}
	}
}

func TestDeployFileSlips(t *testing.T) {
	for _, c := range []struct{ text, want, hint string }{
		{"app: web\nwawe: 1,100%\n", `line 2: unknown key "wawe"`, "did you mean wave?"},
		{"app: web\napp: api\n", "line 2: ", ""},
		{"app: [web]\n", "app: want a plain value", ""},
		{"target: {role: web}\n", "target: want a plain value, or a list of them", ""},
		{"target: [[role=web]]\n", "target: want a plain value, or a list of them", ""},
		{"target: role\n", "target: invalid target", ""},
		{"target: '@nowhere'\n", "target @nowhere: no such file", ""},
		{"wave: 1,x\n", `wave: invalid share "x"`, ""},
		{"max_failures: -1\n", `max_failures: invalid share "-1"`, ""},
		{"timeout: soon\n", "timeout: ", ""},
		{"app: web\n---\napp: web\n", "more than one YAML document", ""},
		{"schema: 1\n", `unknown key "schema"`, ""},
		{"# " + strings.Repeat("x", maxDeployFile), "it is over 4194304 bytes", ""},
	} {
		path := filepath.Join(t.TempDir(), "deploy.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := readRollout(path)
		if err == nil {
			t.Errorf("%.40q: no error", c.text)
			continue
		}
		d := diagnose(err)
		if d.code != exitUsage || !strings.HasPrefix(d.text, "deploy file "+path+": ") || !strings.Contains(d.text, c.want) || c.hint != "" && d.hint != c.hint {
			t.Errorf("%.40q: %+v, want %q", c.text, d, c.want)
		}
	}
}

// TestReadmeDeployFile holds that the README's example is a deploy, and knows all keys.
func TestReadmeDeployFile(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(module, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(readme), "# crow deploy -f deploy.yaml\n")
	example, _, _ = strings.Cut(example, "```")
	path := filepath.Join(t.TempDir(), "deploy.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := readRollout(path)
	if err == nil {
		err = o.validate()
	}
	if err != nil || o.ref.App != "web" || len(o.steps.Waves) != 3 {
		t.Errorf("%v in\n%s", err, example)
	}
	for _, k := range yamlKeys(reflect.TypeFor[deployFile](), "") {
		if !strings.Contains(example, k.name) {
			t.Errorf("the example does not tell of %s", k.name)
		}
	}
}
