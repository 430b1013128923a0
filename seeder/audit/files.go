package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"crow/internal/store"
)

// numbered is the path of the i-th newest file of the log at path.
func numbered(path string, i int) string {
	if i == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, i)
}

// rotate begins a new file when the newest is full. The chain goes on in it. It
// is opened before anything moves: where it cannot be, all stays as it is,
// however often that is tried.
func (l *Log) rotate() error {
	if l.size < maxFile {
		return nil
	}
	f, err := os.OpenFile(l.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err = l.shift(); err == nil {
		err = os.Rename(f.Name(), l.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), store.RemoveIfThere(f.Name()))
	}
	err = l.file.Close() // first: syncing the folder takes a descriptor, too
	l.file, l.size = f, 0
	return errors.Join(err, store.SyncFolder(filepath.Dir(l.path)))
}

// shift renames each file to the next older one's name, the oldest of maxFiles
// being replaced. It begins at the first name that is free: what an attempt that
// failed half-way has moved already stays where it is.
func (l *Log) shift() error {
	free := 0
	for free < maxFiles-1 {
		_, err := os.Lstat(numbered(l.path, free))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		free++
	}
	for i := free; i > 0; i-- {
		if err := os.Rename(numbered(l.path, i-1), numbered(l.path, i)); err != nil {
			return err
		}
	}
	return nil
}

// file is one of the log's, open, as long as it was when it was opened.
type file struct {
	*os.File
	size int64 // bytes
	age  int   // 0 is the newest
}

// name is what people call the file.
func (f file) name() string { return filepath.Base(f.Name()) }

// content reads the file from its beginning.
func (f file) content() io.Reader { return io.NewSectionReader(f, 0, f.size) }

// files are those of one log, the newest first.
type files []file

// openFiles opens the files of the log at path. One of them may be missing: a
// crash can come between two renamings.
func openFiles(path string) (all files, err error) {
	for i := range maxFiles {
		f, err := os.Open(filepath.Clean(numbered(path, i)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, file{File: f, age: i})
		fi, err := f.Stat()
		if err != nil {
			all.close()
			return nil, err
		}
		all[len(all)-1].size = fi.Size()
	}
	return all, nil
}

func (all files) close() {
	for _, f := range all {
		f.Close()
	}
}
