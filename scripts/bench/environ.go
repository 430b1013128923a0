package main

import (
	"os"
	"slices"
	"strings"
)

// environ is the environment of everything that bench starts: that of its caller
// without settings of the caller's own fleet, which crow would follow, and without
// proxies, which know no host of bench's networks.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "CROW_") || strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
}
