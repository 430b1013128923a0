package main

import (
	"bufio"
	crand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// artifact is a file of random bytes, which nothing on the way can compress.
type artifact struct {
	path string
	size int64
	sum  [sha256.Size]byte
}

// writeArtifact makes a file that is on disk when it returns: writing it out must
// not slow what is measured next.
func writeArtifact(path string, size int64) (artifact, error) {
	a := artifact{path: path, size: size}
	var key [32]byte
	if _, err := crand.Read(key[:]); err != nil {
		return a, err
	}
	f, err := os.Create(path)
	if err != nil {
		return a, err
	}
	hash := sha256.New()
	buffered := bufio.NewWriterSize(f, 1<<20)
	_, err = io.CopyN(io.MultiWriter(buffered, hash), rand.NewChaCha8(key), size)
	a.sum = [sha256.Size]byte(hash.Sum(nil))
	return a, errors.Join(err, buffered.Flush(), f.Sync(), f.Close())
}

// check makes sure that a file arrived whole.
func (a artifact) check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if [sha256.Size]byte(hash.Sum(nil)) != a.sum {
		return fmt.Errorf("%s: other bytes arrived than were sent", path)
	}
	return nil
}
