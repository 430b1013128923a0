package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/build"
)

// compare hashes the artifact and refuses it if the release has other content.
func compare(ctx context.Context, p printer, artifact *build.Source, m release.Manifest) error {
	conflict := &fault{
		kind: refused, hint: "a release never changes: push this build under a new version",
		text: fmt.Sprintf("release %s exists with other content", m.Ref()),
	}
	if artifact.Size() != m.Size {
		conflict.text += fmt.Sprintf(": %d bytes, the artifact has %d", m.Size, artifact.Size())
		return conflict
	}
	sum, err := sumOf(ctx, p, artifact, "comparing")
	if err != nil {
		return err
	}
	if sum.SHA256 != m.SHA256 {
		conflict.text += fmt.Sprintf(": sha256 %s, the artifact has %s", m.SHA256, sum.SHA256)
		return conflict
	}
	if sum.Blob != control.BlobOf(m) {
		conflict.text += ": its manifest describes the same bytes in another way"
		return conflict
	}
	return nil
}

// sumOf hashes the artifact, and shows that as verb.
func sumOf(ctx context.Context, p printer, artifact *build.Source, verb string) (build.Result, error) {
	hasher := build.NewHasher()
	defer hasher.Close()
	r := newReading(artifact, hasher, func(done int64) { p.upload(verb, done, artifact.Size()) })
	defer context.AfterFunc(ctx, r.halt)()
	if _, err := io.Copy(io.Discard, r); err != nil {
		return build.Result{}, cmp.Or(ctx.Err(), err)
	}
	return hasher.Sum()
}
