package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"crow/internal/control"
	"crow/internal/pki"
	"crow/internal/release"
)

// maxStatementLen bounds a file with a rollback statement and its signatures, in
// bytes: of these there are at most control.MaxSignatures.
const maxStatementLen = 64 << 10

// read takes the statement that --statement names. What it says is checked when it
// is known what there is.
func (b *goingBack) read() error {
	text, err := readBounded(b.from, maxStatementLen)
	var given control.Rollback
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(&given)
	}
	if err == nil {
		err = given.Statement.Validate()
	}
	if err == nil {
		err = control.ValidateSignatures(given.Signatures)
	}
	if err != nil {
		return &fault{kind: usage, text: fmt.Sprintf("statement %s: %s", b.from, reason(err)), hint: "crow rollback APP --to VERSION --out FILE writes one", cause: err}
	}
	if b.app != "" && b.app != given.Statement.App {
		return usagef("statement %s: it is for the app %s, not %s", b.from, given.Statement.App, b.app)
	}
	b.given, b.app, b.version = &given, given.Statement.App, given.Statement.Version
	return nil
}

// statement is the one to deploy by, or to hand over: made, or taken and signed;
// nil where the release's counter is the highest that any can have by now.
func (b goingBack) statement(target control.Release, known []control.Release, now time.Time) (*control.Rollback, error) {
	if b.given == nil {
		return b.signer.rollback(target, nextCounter(known, now)-1, now, b.expires)
	}
	if err := vouchable(b.given.Statement, target, known, now); err != nil {
		return nil, err
	}
	text, err := b.given.Statement.Encode()
	if err != nil {
		return nil, err
	}
	signed := *b.given
	signed.Signatures = append(signed.Signatures, b.signer.lacking(text, signed.Signatures).document(text, rollbackComment(target))...)
	if err := control.ValidateSignatures(signed.Signatures); err != nil {
		return nil, fmt.Errorf("statement %s: %w", b.from, err)
	}
	return &signed, nil
}

// rollback makes a statement; nil as goingBack.statement has it.
func (g signer) rollback(target control.Release, newest uint64, now time.Time, expires time.Duration) (*control.Rollback, error) {
	if target.Counter >= newest {
		return nil, nil
	}
	statement := release.RollbackTo(target.Manifest, newest, now, now.Add(expires))
	text, err := statement.Encode()
	if err != nil {
		return nil, err
	}
	return &control.Rollback{Statement: statement, Signatures: g.document(text, rollbackComment(target))}, nil
}

func rollbackComment(target control.Release) string { return "crow rollback " + target.Ref().String() }

// vouchable refuses to sign what another states that is not of the release, is
// worth nothing, or would be worth something against releases that are yet to come.
func vouchable(r release.Rollback, target control.Release, known []control.Release, now time.Time) error {
	why, newest := "", highestCounter(known)
	switch {
	case r.Counter != target.Counter || r.SHA256 != target.SHA256:
		why = fmt.Sprintf("it is for release %d with sha256 %s, and that has %d and %s", r.Counter, r.SHA256, target.Counter, target.SHA256)
	case !r.Expires.IsZero() && !now.Before(r.Expires):
		why = "it expired on " + r.Expires.Local().Format(time.DateTime)
	case r.Replaces < newest:
		why = "there is a newer release since it was made"
	case r.Replaces > max(uint64(now.Add(maxAhead).Unix()), newest):
		why = fmt.Sprintf("it replaces releases up to %d, which are in the future", r.Replaces)
	default:
		return nil
	}
	return &fault{
		kind: refused, text: fmt.Sprintf("rollback statement to %s: %s: not signed", r.Ref(), why),
		hint: fmt.Sprintf("make a new one: crow rollback %s --to %s --out FILE", r.App, r.Version),
	}
}

// handedOver is crow rollback --out FILE --output json. Fields are only ever added.
type handedOver struct {
	File string `json:"file"`
	control.Rollback
}

// handOver writes the statement for others to sign. Over the file that it was read
// from it writes, over others not.
func (s *session) handOver(b goingBack, r *control.Rollback) error {
	if r == nil {
		return usagef("rollback --out: %s@%s needs no statement: nothing newer counts; deploy it", b.app, b.version)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	file := outFile{b.out, append(text, '\n'), pki.CertMode}
	if b.from == "" || filepath.Clean(b.from) != filepath.Clean(b.out) {
		if err := refuseExisting("name another file with --out", file); err != nil {
			return err
		}
	}
	if err := writeFiles(file); err != nil {
		return err
	}
	if s.output != outputText {
		return s.writeJSON(handedOver{b.out, *r})
	}
	fmt.Fprintf(s.out, "%s: hosts may go back to %s, %s; signatures: %d\n", b.out, r.Statement.Ref(), lastingOf(r.Statement), len(r.Signatures))
	s.note("nothing is deployed yet; the next one signs and deploys: crow rollback --statement %s", filepath.Base(b.out))
	return nil
}

func lastingOf(r release.Rollback) string {
	if r.Expires.IsZero() {
		return "for ever"
	}
	return "until " + r.Expires.Local().Format(time.DateTime)
}
