package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxConfigLen bounds a config file, in bytes: people write them by hand.
const maxConfigLen = 1 << 20

// readConfig reads the YAML file at path over the given defaults. Every error
// is a config error that names the file and, where there is one, the line.
func readConfig[T any](path string, defaults T) (T, error) {
	b, err := readBounded(path, maxConfigLen)
	if err != nil {
		return defaults, configFault(path, err, "")
	}
	config, err := decodeConfig(b, defaults)
	if err != nil {
		text, hint := explainYAML(err, yamlKeys(reflect.TypeFor[T](), ""))
		if key := guiltyKey(b, defaults); key != "" {
			text = key + ": " + strings.TrimPrefix(text, key+": ")
		}
		return defaults, configFault(path, errors.New(text), hint)
	}
	return config, nil
}

// configFault is what is wrong in or with a config file.
func configFault(path string, err error, hint string) error {
	return &fault{kind: usage, text: fmt.Sprintf("config %s: %s", path, reason(err)), hint: hint, cause: err}
}

// decodeConfig decodes one YAML document over defaults; an unknown or doubled
// key is an error.
func decodeConfig[T any](b []byte, defaults T) (T, error) {
	config := defaults
	d := yaml.NewDecoder(bytes.NewReader(b), yaml.DisallowUnknownField())
	if err := d.Decode(&config); err != nil && !errors.Is(err, io.EOF) {
		return defaults, err
	}
	var more any
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return defaults, errors.New("more than one YAML document")
	}
	if reflect.ValueOf(config).IsZero() { // the library clears it for a file of comments only
		return defaults, nil
	}
	return config, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("it is over %d bytes", limit)
	}
	return b, err
}

// reason is a file error without its path, which the caller has named.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// explainYAML puts the library's error, which draws a picture of the source in
// several lines, in one line.
func explainYAML(err error, keys []yamlKey) (text, hint string) {
	source, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return plainWords(err.Error()), ""
	}
	text = source.GetMessage()
	token := source.GetToken()
	if token == nil || token.Position == nil {
		return text, ""
	}
	if _, unknown := errors.AsType[*yaml.UnknownFieldError](err); unknown {
		text, hint = fmt.Sprintf("unknown key %q", token.Value), meantKey(token.Value, keys)
	}
	if t, wrong := errors.AsType[*yaml.TypeError](err); wrong {
		text = mismatch(token.Value, t.SrcType, t.DstType)
	}
	return fmt.Sprintf("line %d: %s", token.Position.Line, text), hint
}

// guiltyKey names the top-level key whose value does not decode by itself, for
// errors that the library gives without a line; else it is empty.
func guiltyKey[T any](b []byte, defaults T) string {
	var all yaml.MapSlice
	if yaml.Unmarshal(b, &all) != nil {
		return ""
	}
	for _, item := range all {
		one, err := yaml.Marshal(yaml.MapSlice{item})
		if err != nil {
			continue
		}
		_, err = decodeConfig(one, defaults)
		if _, placed := errors.AsType[yaml.Error](err); err != nil && !placed {
			return fmt.Sprint(item.Key)
		}
	}
	return ""
}
