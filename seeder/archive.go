package seeder

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/store"
)

// Bounds of the archive: what a deploy came to can be read a year later, and the
// oldest go before they fill a disk. A deploy to 1,000 hosts takes some 30 KiB.
const (
	archiveAge   = 400 * 24 * time.Hour
	archiveBytes = 1 << 30
	archiveCount = 50_000
)

// archive keeps deploys beyond those of the history that are in memory, each with
// its result, compressed. What it knows of each is in the document's name.
type archive struct {
	*env
	all   []archived // oldest first
	bytes int64
}

// archived is a deploy in the archive.
type archived struct {
	id       string
	finished time.Time // to the second
	size     int64     // bytes, compressed
}

// filed is an archived deploy's document.
type filed struct {
	Plan   plan   `json:"plan"`
	Result result `json:"result"`
}

func (a archived) name() string {
	return fmt.Sprintf("%s.%d.%d", a.id, a.finished.Unix(), a.size)
}

func parseArchived(name string) (archived, bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return archived{}, false
	}
	unix, err := strconv.ParseInt(parts[1], 10, 64)
	size, err2 := strconv.ParseInt(parts[2], 10, 64)
	return archived{id: parts[0], finished: time.Unix(unix, 0), size: size}, err == nil && err2 == nil && size >= 0
}

func loadArchive(e *env) (*archive, error) {
	names, err := e.dir.ListDocs(kindArchive)
	if err != nil {
		return nil, err
	}
	a := &archive{env: e}
	for _, name := range names {
		if one, ok := parseArchived(name); ok {
			a.all = append(a.all, one)
			a.bytes += one.size
		}
	}
	slices.SortFunc(a.all, func(x, y archived) int { return cmp.Or(x.finished.Compare(y.finished), cmp.Compare(x.id, y.id)) })
	return a, nil
}

// add files a deploy that has ended.
func (a *archive) add(d *deploy, now time.Time) error {
	r := d.result
	r.Rows = d.sortedRows()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(w).Encode(filed{d.plan, r}), w.Close()); err != nil {
		return fmt.Errorf("archive deploy %s: %w", d.ID, err)
	}
	one := archived{id: d.ID, finished: now, size: int64(b.Len())}
	if d.Finished != nil {
		one.finished = *d.Finished
	}
	if err := a.dir.PutDoc(kindArchive, one.name(), b.Bytes()); err != nil {
		return err
	}
	a.all = append(a.all, one)
	a.bytes += one.size
	a.trim(now)
	return nil
}

// trim drops the oldest deploys beyond the archive's bounds.
func (a *archive) trim(now time.Time) {
	for len(a.all) > 0 {
		oldest := a.all[0]
		if len(a.all) <= archiveCount && a.bytes <= archiveBytes && now.Sub(oldest.finished) <= archiveAge {
			return
		}
		if err := a.dir.DeleteDoc(kindArchive, oldest.name()); err != nil {
			a.log.Error("old deploy not removed from the archive", zap.String("deploy", oldest.id), zap.Error(err))
			return
		}
		a.all, a.bytes = a.all[1:], a.bytes-oldest.size
	}
}

// has reports whether the archive has a deploy.
func (a *archive) has(id string) bool {
	_, ok := a.locate(id)
	return ok
}

// locate says where a deploy is in the archive, if it is there.
func (a *archive) locate(id string) (archived, bool) {
	i := slices.IndexFunc(a.all, func(one archived) bool { return one.id == id })
	if i < 0 {
		return archived{}, false
	}
	return a.all[i], true
}

// recall is the status of a deploy in the archive. It takes a while to read, and needs
// nothing of the books: whoever asks for it does so himself, and not the ledger.
func (e *env) recall(one archived) (control.DeployStatus, error) {
	f, err := e.readArchived(one)
	if err != nil {
		return control.DeployStatus{}, err
	}
	d := &deploy{plan: f.Plan, program: programOf(f.Plan, e.pace), watch: newWatch(1)}
	d.fill(f.Result)
	return d.status(), nil
}

// readArchived fails with store.ErrNotFound if the deploy was dropped meanwhile.
func (e *env) readArchived(one archived) (f filed, err error) {
	b, err := e.dir.GetDoc(kindArchive, one.name())
	if err != nil {
		return f, err
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(r, store.MaxDocLen)).Decode(&f)
	}
	if err == nil {
		err = cmp.Or(f.Plan.validate(one.id), f.Result.validate())
	}
	if err != nil {
		return f, errors.Join(fmt.Errorf("read archived deploy %s: damaged document", one.id), err)
	}
	return f, nil
}
