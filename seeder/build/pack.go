package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"crow/internal/release"
)

// packer reads a walked directory as a tar. It holds one file open at a time
// and nothing of any file's content.
type packer struct {
	root *os.Root
	path string // of root, for errors
	top  entry  // the directory itself, which is not in the tar
	all  []entry

	next  int       // in all
	parts io.Reader // what is left of the current entry
	file  *guardedFile
	ended bool
}

func openDirectory(path string) (_ *Source, err error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Close())
		}
	}()
	p := &packer{root: root, path: path, parts: bytes.NewReader(nil)}
	if err := p.walk(); err != nil {
		return nil, err
	}
	size, err := p.size()
	if err != nil {
		return nil, err
	}
	return &Source{size: size, stream: p}, nil
}

// walk looks at the directory itself first, so that whatever comes into it
// later is noticed.
func (p *packer) walk() error {
	w := walker{root: p.root, path: p.path}
	if err := w.add("."); err != nil {
		return err
	}
	if err := w.list("."); err != nil {
		return err
	}
	if err := w.checkLinks(); err != nil {
		return err
	}
	p.top, p.all = w.entries[0], w.entries[1:]
	if len(p.all) == 0 {
		return fmt.Errorf("%w %s: the directory is empty", ErrUnusable, p.path)
	}
	return nil
}

// size is the length of the tar. Headers are written to be measured: their
// length depends on what the entry's name and size need.
func (p *packer) size() (int64, error) {
	total := int64(tarTrailer)
	for _, e := range p.all {
		h, err := e.header()
		if err != nil {
			return 0, unusable(p.full(e), err)
		}
		total += int64(len(h)) + e.padding()
		if e.kind == tar.TypeReg {
			// A file of a hostile file system may claim any size.
			total += min(e.size, release.MaxArtifactSize+1)
		}
		if err := checkSize(p.path, total); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// Read implements io.Reader.
func (p *packer) Read(b []byte) (int, error) {
	for {
		n, err := p.parts.Read(b)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if errors.Is(err, io.EOF) {
			if err := p.advance(); err != nil {
				return 0, err
			}
		}
	}
}

// advance begins the next entry, or behind the last one the trailer; then it
// returns io.EOF.
func (p *packer) advance() error {
	if err := p.closeFile(); err != nil {
		return err
	}
	if p.next < len(p.all) {
		p.next++
		return p.begin(p.all[p.next-1])
	}
	if p.ended {
		return io.EOF
	}
	p.ended = true
	p.parts = bytes.NewReader(make([]byte, tarTrailer))
	return p.verifyDirectories()
}

func (p *packer) begin(e entry) error {
	h, err := e.header()
	if err != nil {
		return unusable(p.full(e), err)
	}
	if e.kind != tar.TypeReg {
		p.parts = bytes.NewReader(h)
		return nil
	}
	f, err := p.root.OpenFile(e.name, openFlags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return changed(p.full(e))
	}
	if err != nil {
		return fmt.Errorf("read artifact %s: %w", p.path, err)
	}
	if p.file, err = guard(f, p.full(e), e.facts); err != nil {
		return err
	}
	p.parts = io.MultiReader(bytes.NewReader(h), p.file, bytes.NewReader(make([]byte, e.padding())))
	return nil
}

// verifyDirectories fails if an entry came, went or was replaced since the
// walk: each of these changes its directory's time.
func (p *packer) verifyDirectories() error {
	for i := -1; i < len(p.all); i++ {
		e := p.top
		if i >= 0 {
			e = p.all[i]
		}
		if e.kind != tar.TypeDir {
			continue
		}
		fi, err := p.root.Lstat(e.name)
		if err != nil || factsOf(fi) != e.facts {
			return changed(p.full(e))
		}
	}
	return nil
}

func (p *packer) closeFile() error {
	f := p.file
	if p.file = nil; f == nil {
		return nil
	}
	return f.Close()
}

// Close closes the open file and the directory.
func (p *packer) Close() error { return errors.Join(p.closeFile(), p.root.Close()) }

func (p *packer) full(e entry) string { return filepath.Join(p.path, e.name) }
