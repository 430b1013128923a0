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
	if len(os.Args) == 3 && os.Args[1] == hangRole {
		if err := hang(os.Args[2:]); err != nil {
			os.Exit(exitFailed)
		}
	}
	goleak.VerifyTestMain(m)
}
