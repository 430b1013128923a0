package stage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"crow/internal/release"
)

// maxWindow bounds the window of a zstd frame, in bytes, and so the decoder's
// memory. It takes what zstd makes up to level 20; only --ultra -21 and above
// and --long without a number go beyond.
const maxWindow = 32 << 20

// stream is the tar inside an artifact: decompressed, bounded, and over when
// ctx is.
type stream struct {
	ctx    context.Context
	r      io.Reader
	close  func()
	source *ctxReader // of the artifact
	limits Limits
	given  int64 // bytes that came out
	left   int64 // bytes that may still be read
	err    error // kept, as not every reader repeats its error
	ended  bool  // someone asked for more than there was
}

func openStream(ctx context.Context, artifact io.Reader, format release.Format, limits Limits) (*stream, error) {
	source := &ctxReader{ctx: ctx, r: artifact}
	s := &stream{ctx: ctx, close: func() {}, source: source, limits: limits, left: limits.streamLen()}
	switch format {
	case release.FormatTar:
		s.r = source
	case release.FormatTarGzip:
		z, err := gzip.NewReader(source)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", explainRead(err))
		}
		s.r = z
	case release.FormatTarZstd:
		z, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("read zstd: %w", explainRead(err))
		}
		s.r, s.close = z, z.Close
	default:
		return nil, fmt.Errorf("format %s is not an archive", format)
	}
	return s, nil
}

// Read implements io.Reader. It gives an error only without bytes.
func (s *stream) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	if s.left == 0 && s.err == nil {
		s.err = errors.New("archive is larger than the limits on its entries and bytes allow")
	}
	if s.err != nil {
		s.ended = s.ended || errors.Is(s.err, io.EOF)
		return 0, s.err
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.given += int64(n)
	s.err = explainWindow(err)
	if bomb := s.limits.expanded(s.given, s.source.n); bomb != nil {
		s.err = bomb
		return 0, bomb
	}
	if n > 0 {
		return n, nil
	}
	s.ended = errors.Is(s.err, io.EOF)
	return 0, s.err
}

// drain reads to the end, so that checksums of the compression are checked,
// and demands zeros: tar pads its last record with them.
func (s *stream) drain() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := s.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return errors.New("refused: garbage behind the archive's end")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func explainWindow(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return fmt.Errorf("%w: at most %d MiB are allowed, pack with zstd --long=25 or less", err, maxWindow>>20)
	}
	return err
}

// ctxReader makes reads end when ctx does, even while a decompressor reads on
// without giving anything.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
	n   int64 // bytes read so far
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
