package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// journal is one file in which the hooks and checks of all hosts write down what they
// do, as they do it: its lines are in the order of time, on whatever host.
type journal struct {
	t   *testing.T
	dir string
}

// entry is one line: begin and end are of a hook, well is a check's that passed.
type entry struct{ what, host, app, version string }

func newJournal(t *testing.T) *journal {
	t.Helper()
	return &journal{t: t, dir: t.TempDir()}
}

// What the scripts share. told asks the first lines of the release, which say what is
// to go wrong, until that is mended, and on which host: "fail host-2".
func (j *journal) words() string {
	return fmt.Sprintf(`say() { echo "$1 $CROW_HOST $CROW_APP $CROW_VERSION" >> %[1]s/journal; }
told() { [ ! -e %[1]s/mended ] && head -n 5 artifact | grep -aqx "$1 $CROW_HOST"; }
`, j.dir)
}

// mend ends the reasons for which hooks and checks fail.
func (j *journal) mend() { write(j.t, j.dir+"/mended", "", 0o644) }

// app is the config of an app whose hook writes in the journal and takes so many
// seconds for its work, with more of the config.
func (j *journal) app(seconds, more string) string {
	j.t.Helper()
	return hook(j.t, more, j.words()+`say begin
sleep `+seconds+`
if told fail; then say end; echo "refusing to start"; exit 42; fi
say end
`)
}

// check is the config's part about a check, which writes in the journal too.
func (j *journal) check() string {
	j.t.Helper()
	path := filepath.Join(j.dir, "check")
	write(j.t, path, "#!/bin/sh\n"+j.words()+`if told sick; then echo "not well"; exit 1; fi
say well
`, 0o755)
	return fmt.Sprintf("check: [%q], check_interval: 500ms, check_timeout: 10s", path)
}

// entries are all lines so far.
func (j *journal) entries() (all []entry) {
	j.t.Helper()
	b, _ := os.ReadFile(j.dir + "/journal") // before the first line there is none
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 4 {
			j.t.Fatalf("the journal has the line %q", line)
		}
		all = append(all, entry{f[0], f[1], f[2], f[3]})
	}
	return all
}

// ran lists the versions of an app whose hooks have ended on a host.
func (j *journal) ran(host, app string) string {
	var versions []string
	for _, e := range j.entries() {
		if e.what == "end" && e.host == host && e.app == app {
			versions = append(versions, e.version)
		}
	}
	return strings.Join(versions, " ")
}

// wantNoOverlap waits for a moment at which no hook is at work, and checks that until
// then no two of an app ran at once on a host.
func (j *journal) wantNoOverlap() {
	j.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); ; <-tick.C {
		wrong, busy := overlaps(j.entries())
		if len(busy) > 0 && time.Now().Before(end) {
			continue
		}
		if len(wrong)+len(busy) > 0 {
			j.t.Errorf("hooks at once: %q; not ended: %q", wrong, busy)
		}
		return
	}
}

// overlaps are the hooks that began while another one of the app was at work on the
// host, and the hooks that have not ended.
func overlaps(all []entry) (wrong, busy []string) {
	at := map[[2]string]string{} // host and app: the version whose hook is at work
	for i, e := range all {
		place := [2]string{e.host, e.app}
		switch version, ok := at[place]; {
		case e.what == "begin" && ok, e.what == "end" && version != e.version:
			wrong = append(wrong, fmt.Sprintf("line %d: %v, and %q is at work", i+1, e, version))
		}
		switch e.what {
		case "begin":
			at[place] = e.version
		case "end":
			delete(at, place)
		}
	}
	for place, version := range at {
		busy = append(busy, fmt.Sprint(place, " ", version))
	}
	return wrong, busy
}

// wantInWaves checks that nobody's hook for a version began before everybody of the
// waves before was done.
func (j *journal) wantInWaves(version string, waveOf map[string]int) {
	j.t.Helper()
	first, last := map[int]int{}, map[int]int{} // of each wave, lines from 1
	for i, e := range j.entries() {
		wave, counted := waveOf[e.host]
		if e.version != version || !counted {
			continue
		}
		if first[wave] == 0 {
			first[wave] = i + 1
		}
		last[wave] = i + 1
	}
	for wave, begin := range first {
		for before, end := range last {
			if before < wave && end > begin {
				j.t.Errorf("%s: wave %d began in line %d, wave %d was at work until line %d", version, wave, begin, before, end)
			}
		}
	}
}

func TestJournalSeesOverlaps(t *testing.T) {
	line := func(words string) entry { f := strings.Fields(words); return entry{f[0], f[1], f[2], f[3]} }
	for name, c := range map[string]struct {
		lines       []string
		wrong, busy int
	}{
		"one after the other": {[]string{"begin a web 1", "end a web 1", "well a web 1", "begin a web 2", "end a web 2"}, 0, 0},
		"on two hosts":        {[]string{"begin a web 1", "begin b web 1", "end b web 1", "end a web 1"}, 0, 0},
		"of two apps":         {[]string{"begin a web 1", "begin a api 1", "end a web 1", "end a api 1"}, 0, 0},
		"one in the other":    {[]string{"begin a web 1", "begin a web 2", "end a web 2", "end a web 1"}, 2, 0},
		"the same twice":      {[]string{"begin a web 1", "begin a web 1", "end a web 1", "end a web 1"}, 2, 0},
		"one at work":         {[]string{"begin a web 1", "end a web 1", "begin a web 2"}, 0, 1},
	} {
		var all []entry
		for _, l := range c.lines {
			all = append(all, line(l))
		}
		if wrong, busy := overlaps(all); len(wrong) != c.wrong || len(busy) != c.busy {
			t.Errorf("%s: wrong %q, busy %q", name, wrong, busy)
		}
	}
}
