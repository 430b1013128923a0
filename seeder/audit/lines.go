package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"crow/internal/release"
)

// chunk is how much is read at once, in bytes.
const chunk = 64 << 10

// span is a line's place in a file, its end left out, in bytes.
type span struct{ begin, end int64 }

// backwards calls each with the lines of a file's first size bytes, the last one
// first, until it returns false. The text, which each may not keep, is nil if
// the line is over maxLine.
func backwards(r io.ReaderAt, size int64, each func(at span, text []byte) bool) error {
	var (
		buf  = make([]byte, min(size, chunk))
		rest []byte // of the line that ends at end, what is known of it
		end  = size
	)
	for pos := size; pos > 0; {
		b := buf[:min(pos, chunk)]
		pos -= int64(len(b))
		if n, err := r.ReadAt(b, pos); n < len(b) {
			return fmt.Errorf("it became shorter: %w", err)
		}
		for i := bytes.LastIndexByte(b, '\n'); i >= 0; i = bytes.LastIndexByte(b, '\n') {
			at := span{pos + int64(i) + 1, end}
			if at.begin < size && !each(at, joined(at, b[i+1:], rest)) { // behind the last line's end is no line
				return nil
			}
			b, rest, end = b[:i], nil, at.begin-1
		}
		rest = bytes.Clone(joined(span{pos, end}, b, rest)) // b is read into again
	}
	if size > 0 {
		each(span{0, end}, rest)
	}
	return nil
}

// joined is the text of a span in one piece; nil if it is over maxLine.
func joined(at span, begin, rest []byte) []byte {
	if at.end-at.begin > maxLine {
		return nil
	}
	if len(rest) == 0 {
		return begin
	}
	return append(append(make([]byte, 0, len(begin)+len(rest)), begin...), rest...)
}

// forwards calls each with the lines of r and their digests, counted from 1,
// until it returns an error. The text, which each may not keep, is nil if the
// line is over maxLine.
func forwards(r io.Reader, each func(n int, text []byte, digest release.Digest) error) error {
	in := bufio.NewReaderSize(r, maxLine+1)
	for n := 1; ; n++ {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return nil
		}
		digest := release.Digest(sha256.Sum256(bytes.TrimSuffix(text, []byte("\n"))))
		if errors.Is(err, bufio.ErrBufferFull) {
			digest, err = digestOfLong(in, text)
			text = nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(text) > 0 {
			text = bytes.TrimSuffix(text, []byte("\n"))
		}
		if err := each(n, text, digest); err != nil {
			return err
		}
	}
}

// digestOfLong reads the rest of a line that does not fit into the buffer.
func digestOfLong(in *bufio.Reader, begin []byte) (release.Digest, error) {
	h := sha256.New()
	err := bufio.ErrBufferFull
	for b := begin; ; b, err = in.ReadSlice('\n') {
		h.Write(bytes.TrimSuffix(b, []byte("\n"))) // never fails (hash.Hash)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return release.Digest(h.Sum(nil)), err
		}
	}
}
