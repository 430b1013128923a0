package build

import (
	"bytes"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"crow/internal/release"
)

// maxWindow bounds what zstd may allocate to look back at, in bytes, where
// smallWindow cannot help: as much as hosts take.
const maxWindow = 32 << 20

// formatOf tells an artifact's format from its first bytes. Names do not count.
// What is compressed counts as an archive only if a tar is inside.
func formatOf(head []byte) release.Format {
	switch {
	case isTar(head):
		return release.FormatTar
	case isTar(gunzip(head)):
		return release.FormatTarGzip
	case isTar(unzstd(head)):
		return release.FormatTarZstd
	}
	return release.FormatFile
}

// isTar reports whether b begins with a tar header: the magic of POSIX or GNU
// tar, and a checksum that is right.
func isTar(b []byte) bool {
	const magic, sum, sumEnd = 257, 148, 156
	if len(b) < tarBlock || string(b[magic:magic+5]) != "ustar" {
		return false
	}
	want, err := strconv.ParseInt(strings.Trim(string(b[sum:sumEnd]), " \x00"), 8, 64)
	if err != nil {
		return false
	}
	var got int64
	for i, c := range b[:tarBlock] {
		if i >= sum && i < sumEnd {
			c = ' ' // the checksum counts as blanks
		}
		got += int64(c)
	}
	return got == want
}

// gunzip and unzstd return the first block of what b decompresses to, or less
// if b is not of their format.
func gunzip(b []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	return firstBlock(r)
}

func unzstd(b []byte) []byte {
	r, err := zstd.NewReader(bytes.NewReader(smallWindow(b)),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil
	}
	defer r.Close()
	return firstBlock(r)
}

// smallWindow returns b with a zstd frame's window cut down to blockLen. zstd
// --long asks for 128 MiB; the first block, which is all that is wanted, looks
// back at nothing before it. (RFC 8878, 3.1.1.1: the frame's descriptor, then
// unless it is a single segment the window's, which grows with the window.)
func smallWindow(b []byte) []byte {
	const magic, descriptor, window = "\x28\xb5\x2f\xfd", 4, 5
	const singleSegment, small = 0x20, 8 << 3 // 2^(10+8) bytes
	if len(b) <= window || string(b[:len(magic)]) != magic || b[descriptor]&singleSegment != 0 {
		return b
	}
	b = bytes.Clone(b)
	b[window] = min(b[window], small)
	return b
}

// firstBlock ignores why a reader ended: whoever unpacks will say it.
func firstBlock(r io.Reader) []byte {
	b := make([]byte, tarBlock)
	n, _ := io.ReadFull(r, b)
	return b[:n]
}
