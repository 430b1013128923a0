package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"crow/internal/release"
)

// plainWords puts what the YAML library and the standard library say of a value
// into words for who wrote it.
func plainWords(text string) string {
	if rest, ok := strings.CutPrefix(text, "time: "); ok {
		return rest + ", want " + wanted(reflect.TypeFor[time.Duration]())
	}
	// A list or map where a plain value belongs.
	return strings.Replace(text, "does not implemented Unmarshaler", "want a plain value", 1)
}

// mismatch says that a value is of another type than its key wants. Of a list
// or map the token is its first character, which tells nothing.
func mismatch(token string, is, want reflect.Type) string {
	subject := fmt.Sprintf("%q is", token)
	if is.Kind() == reflect.Slice || is.Kind() == reflect.Map {
		subject = "this is"
	}
	return fmt.Sprintf("%s %s, want %s", subject, wanted(is), wanted(want))
}

// wanted words a type as a config file has it.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 30s"
	case reflect.TypeFor[release.Size]():
		return "a size such as 64MiB"
	case reflect.TypeFor[release.Rate]():
		return "a rate such as 200MiB/s"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.String {
			return "a list of texts"
		}
		return "a list"
	case reflect.Map, reflect.Struct:
		return "keys with values"
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	if t.ConvertibleTo(reflect.TypeFor[int]()) {
		return "a whole number"
	}
	return "something else"
}
