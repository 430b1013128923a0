package main

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"crow/internal/control"
	"crow/internal/release"
)

// wayBackShown is up to how many characters of an error tell of the way back: the
// rest says what made the hosts take it.
const wayBackShown = maxErrorLine / 2

// withWayBack is the error of a deploy whose failure made hosts go back, with what
// came of that: who only hears of the failure takes the hosts to run what they ran
// before.
func withWayBack(err error, back control.DeployStatus) error {
	own, ok := errors.AsType[*fault](err)
	if !ok || back.Phase == release.DeploySucceeded {
		return err
	}
	went := clip(fmt.Sprintf("; the way back by deploy %s %s", back.Deploy, wayBackWords(back)), wayBackShown)
	both := *own
	both.text = clip(oneLine(own.text), maxErrorLine-utf8.RuneCountInString(went)) + went
	both.hint = "crow status " + back.Deploy
	if back.Phase == release.DeployFailed {
		both.hint += ", then crow retry " + back.Deploy
	}
	return &both
}

func wayBackWords(back control.DeployStatus) string {
	var names []string
	for _, h := range failedHosts(back) {
		names = append(names, h.Name)
	}
	switch {
	case len(back.Hosts) == 0:
		return "is not known to have ended"
	case !back.Phase.Ended():
		return "has not ended: " + fleetOf(back).counts()
	case len(names) == 0:
		return "was " + back.Phase.String()
	}
	return fmt.Sprintf("failed on %d of %d hosts: %s", len(names), fleetOf(back).hosts, someOf(names, stragglersShown))
}
