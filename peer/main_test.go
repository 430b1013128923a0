package peer

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also is the peer that tests kill: see kill_test.go.
func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		os.Exit(victim())
	}
	goleak.VerifyTestMain(m)
}
