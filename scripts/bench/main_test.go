package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The smoke test starts this binary as both ends of plain HTTP.
func TestMain(m *testing.M) {
	if code, ok := playRole(os.Args[1:]); ok {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
