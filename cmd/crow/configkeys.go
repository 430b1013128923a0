package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// yamlKey is a key that a config knows, and where: apps.NAME.keep.
type yamlKey struct{ name, path string }

// mapKey stands in paths for what the user names, such as an app.
const mapKey = "NAME"

// yamlKeys lists the keys that a config of type t knows, at any depth below path.
func yamlKeys(t reflect.Type, path string) (keys []yamlKey) {
	switch t.Kind() {
	case reflect.Map:
		return yamlKeys(t.Elem(), path+mapKey+".")
	case reflect.Pointer, reflect.Slice:
		return yamlKeys(t.Elem(), path)
	case reflect.Struct:
		for i := range t.NumField() {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "" {
				keys = append(keys, yamlKey{name, path + name})
				keys = append(keys, yamlKeys(t.Field(i).Type, path+name+".")...)
			}
		}
	}
	return keys
}

// meantKey is the hint for a key that is not known where it stands: it may be one
// that belongs elsewhere.
func meantKey(word string, keys []yamlKey) string {
	var names, paths []string
	for _, k := range keys {
		names = append(names, k.name)
		if k.name == word && !slices.Contains(paths, k.path) {
			paths = append(paths, k.path)
		}
	}
	if len(paths) > 0 {
		return fmt.Sprintf("%s is known elsewhere, as %s", word, strings.Join(paths, " and "))
	}
	return meant(word, names)
}
