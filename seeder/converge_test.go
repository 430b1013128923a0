package seeder

import (
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestHostsThatFetchKeepNobodyFromCatchingUp: leave is for hosts that can use it.
func TestHostsThatFetchKeepNobodyFromCatchingUp(t *testing.T) {
	d := fleetOf(t, 1)
	first := d.deploys.newest("web")
	for i := range 2 * minCatchUp {
		name := string(rune('a'+i)) + "-late"
		d.join(name, nil)
		d.tells(name, first, control.JobReport{Phase: release.Fetching}, "")
	}
	d.pass(time.Second)
	d.wantGoals("h00")
	d.tells("t-late", first, control.JobReport{Phase: release.Staged}, "")
	d.pass(time.Second)
	d.wantGoals("h00 t-late")
}
