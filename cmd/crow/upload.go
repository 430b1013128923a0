package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/build"
)

// How long an upload waits for the seeder. A seeder takes a few uploads at a
// time, and lets others wait without reading them. After the last byte it syncs
// the artifact to its disk: of a large one the kernel may still hold several
// GiB, at some 20 MiB/s for the slowest of disks.
const (
	uploadStall  = 5 * time.Minute
	uploadAnswer = 10 * time.Minute
)

// uploader sends artifacts to a seeder, and gives up one that has fallen
// silent.
type uploader struct {
	client  *control.Client
	printer printer
	stall   time.Duration // that the seeder may take no more bytes for
	answer  time.Duration // from the last byte to the seeder's answer
}

func newUploader(c *control.Client, p printer) uploader {
	return uploader{client: c, printer: p, stall: uploadStall, answer: uploadAnswer}
}

// errSilent is the cause of an upload's end that a silent seeder is to blame
// for.
var errSilent = errors.New("the seeder fell silent")

// upload streams the artifact to the seeder and hashes it on the way. What the
// seeder received must be what was read.
func (u uploader) upload(ctx context.Context, artifact *build.Source) (control.Blob, error) {
	hasher := build.NewHasher()
	defer hasher.Close()
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(u.stall, func() { cancel(errSilent) })
	defer patience.Stop()
	r := newReading(artifact, hasher, func(done int64) {
		patience.Reset(u.patience(done, artifact.Size()))
		u.printer.upload("uploading", done, artifact.Size())
	})
	theirs, err := u.client.Upload(waiting, r)
	r.halt()
	done, unreadable := r.result()
	switch {
	case ctx.Err() != nil:
		return control.Blob{}, &fault{kind: interrupted, text: "interrupted: the upload was aborted and nothing was deployed", cause: err}
	case unreadable != nil:
		return control.Blob{}, unreadable
	case err != nil && errors.Is(context.Cause(waiting), errSilent):
		return control.Blob{}, u.silence(done, artifact.Size(), err)
	case err != nil:
		return control.Blob{}, err
	}
	ours, err := hasher.Sum()
	if err != nil {
		return control.Blob{}, err
	}
	return ours.Blob, sameBlob(ours.Blob, theirs)
}

// patience is how long to wait once done of size bytes were read.
func (u uploader) patience(done, size int64) time.Duration {
	if done < size {
		return u.stall
	}
	return u.answer
}

// silence is the fault of a seeder that fell silent after done of size bytes.
func (u uploader) silence(done, size int64, cause error) error {
	text := fmt.Sprintf("seeder %s took no more bytes for %s, after %s of %s", u.client.URL(), u.stall, release.Size(done), release.Size(size))
	if done == size {
		text = fmt.Sprintf("seeder %s gave no answer for %s, after all of %s", u.client.URL(), u.answer, release.Size(size))
	}
	return &fault{kind: unreachable, text: text, hint: "look at the seeder's log and disk, then push again", cause: cause}
}

// sameBlob holds what the seeder received against what was read.
func sameBlob(ours, theirs control.Blob) error {
	if ours == theirs {
		return nil
	}
	return &fault{
		kind: refused, hint: "push again",
		text: fmt.Sprintf("the seeder received other bytes than were read: sha256 %s, %d bytes, here %s, %d bytes",
			theirs.SHA256, theirs.Size, ours.SHA256, ours.Size),
	}
}
