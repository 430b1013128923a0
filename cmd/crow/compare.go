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
	sum, err := compareContent(ctx, p, artifact, m.Ref(), control.Artifact{SHA256: m.SHA256, Bytes: m.Size})
	if err == nil && sum.Blob != control.BlobOf(m) {
		err = contentConflict(m.Ref(), "its manifest describes the same bytes in another way")
	}
	return err
}

// compareContent is compare where there is no manifest.
func compareContent(ctx context.Context, p printer, artifact *build.Source, ref release.Ref, has control.Artifact) (build.Result, error) {
	if artifact.Size() != has.Bytes {
		return build.Result{}, contentConflict(ref, fmt.Sprintf("%d bytes, the artifact has %d", has.Bytes, artifact.Size()))
	}
	sum, err := sumOf(ctx, p, artifact, "comparing")
	if err == nil && sum.SHA256 != has.SHA256 {
		err = contentConflict(ref, fmt.Sprintf("sha256 %s, the artifact has %s", has.SHA256, sum.SHA256))
	}
	return sum, err
}

func contentConflict(ref release.Ref, how string) error {
	return &fault{
		kind: refused, hint: "a release never changes: push this build under a new version",
		text: fmt.Sprintf("release %s exists with other content: %s", ref, how),
	}
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
