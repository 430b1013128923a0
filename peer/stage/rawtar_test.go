package stage

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// block is the unit of a tar, in bytes.
const block = 512

// raw makes a header as no honest packer does: GNU's magic, and a checksum that
// is right.
func raw(flag byte, name string, size int64, spoil ...func([]byte)) []byte {
	h := make([]byte, block)
	copy(h, name)
	copy(h[100:], "0000644\x00")
	copy(h[108:], "0000000\x00")
	copy(h[116:], "0000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00", size&(1<<33-1)))
	copy(h[136:], "00000000000\x00")
	h[156] = flag
	copy(h[257:], "ustar  \x00")
	for _, f := range spoil {
		f(h)
	}
	copy(h[148:], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// at writes into a header.
func at(offset int, text string) func([]byte) {
	return func(h []byte) { copy(h[offset:], text) }
}

// binarySize is GNU's way to write sizes of 8 GiB and more, and any other.
func binarySize(offset int, n int64) func([]byte) {
	return func(h []byte) {
		h[offset] = 0x80
		copy(h[offset+1:], make([]byte, 3))
		if n < 0 {
			copy(h[offset:], "\xff\xff\xff\xff")
		}
		binary.BigEndian.PutUint64(h[offset+4:], uint64(n))
	}
}

// body pads content to whole blocks.
func body(content string) []byte {
	return append([]byte(content), make([]byte, -len(content)&(block-1))...)
}

// pax is an extended header with the records as they are.
func pax(records ...string) []byte {
	var all strings.Builder
	for _, r := range records {
		n := len(r) + 3 // a space, a newline and one digit at least
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n++
		}
		fmt.Fprintf(&all, "%d %s\n", n, r)
	}
	return join(raw(tar.TypeXHeader, "pax", int64(all.Len())), body(all.String()))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var tarEnd = make([]byte, 2*block)

// plain is a file of one byte.
func plain(name string) []byte { return join(raw(tar.TypeReg, name, 1), body("x")) }
