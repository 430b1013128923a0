package build

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/anacrolix/torrent/metainfo"
	infohash_v2 "github.com/anacrolix/torrent/types/infohash-v2"
	"pgregory.net/rapid"

	"crow/internal/release"
)

// random is the same n bytes each time.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

func hashed(t testing.TB, r io.Reader) Result {
	t.Helper()
	h := NewHasher() // ended by Sum alone: goleak would tell
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	result, err := h.Sum()
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestHasherAgainstReference(t *testing.T) {
	const leaf, piece = 16 << 10, release.MinPieceLength
	sizes := []int{
		1, 2, leaf - 1, leaf, leaf + 1, 2 * leaf, 2*leaf + 1, 3 * leaf, piece - 1, piece, piece + 1, piece + leaf, 2 * piece, 2*piece + 1,
		3*piece - 5, blockLen - 1, blockLen, blockLen + 1, 5 << 20, 5<<20 + 12_345, 32 << 20, 32<<20 + 1, 64 << 20, 64<<20 + leaf + 1,
	}
	data := random(slices.Max(sizes))
	for _, size := range sizes {
		checkResult(t, hashed(t, bytes.NewReader(data[:size])), data[:size])
	}
}

// checkResult compares a result with a plain computation, and its torrent with
// what the torrent library makes of it.
func checkResult(t rapid.TB, got Result, data []byte) {
	t.Helper()
	size := int64(len(data))
	length := release.PieceLengthFor(size)
	if got.SHA256 != sha256.Sum256(data) || got.Size != size || got.PieceLength != length {
		t.Fatalf("%d bytes: blob %+v", size, got.Blob)
	}
	mi, err := metainfo.Load(bytes.NewReader(got.Torrent))
	if err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	if infohash_v2.HashBytes(mi.InfoBytes) != infohash_v2.T(got.InfoHash) {
		t.Errorf("%d bytes: infohash %s is not that of the info", size, got.InfoHash)
	}
	name := got.SHA256.String()
	if !info.HasV2() || info.HasV1() || info.Private == nil || !*info.Private || info.Name != name || info.PieceLength != length ||
		info.TotalLength() != size || !info.IsDir() || len(info.FileTree.Dir) != 1 || int64(info.NumPieces()) != (size+length-1)/length {
		t.Errorf("%d bytes: info %+v", size, info)
	}
	if mi.Announce != "" || mi.AnnounceList != nil || mi.Nodes != nil || mi.CreatedBy != "" || mi.CreationDate != 0 || mi.UrlList != nil {
		t.Errorf("%d bytes: torrent says more than its content: %+v", size, mi)
	}
	if err := errors.Join(info.FileTree.Validate(), metainfo.ValidatePieceLayers(mi.PieceLayers, &info.FileTree, length)); err != nil {
		t.Errorf("%d bytes: %v", size, err)
	}
	root, pieces := reference(leavesOf(data), int(length/(16<<10)))
	if file := info.FileTree.Dir[name].File; file.PiecesRoot != string(root[:]) {
		t.Errorf("%d bytes: root %x, want %x", size, file.PiecesRoot, root)
	}
	switch layer, has := mi.PieceLayers[string(root[:])]; {
	case has != (size > length):
		t.Errorf("%d bytes: has a piece layer: %t", size, has)
	case has && layer != concat(pieces):
		t.Errorf("%d bytes: the piece layer differs", size)
	}
}

func TestHasherTakesAnyWrites(t *testing.T) {
	data := random(3 << 20)
	rapid.Check(t, func(rt *rapid.T) {
		data := data[:rapid.IntRange(1, len(data)).Draw(rt, "size")]
		h, chunk := NewHasher(), rapid.IntRange(0, 600_000)
		defer h.Close()
		for rest := data; len(rest) > 0; {
			n := min(chunk.Draw(rt, "chunk")+len(data)/50, len(rest))
			if wrote, err := h.Write(rest[:n]); wrote != n || err != nil {
				rt.Fatal(wrote, err)
			}
			rest = rest[n:]
		}
		result, err := h.Sum()
		if err != nil {
			rt.Fatal(err)
		}
		checkResult(rt, result, data)
	})
}

func TestTorrentWithTrackers(t *testing.T) {
	plain := hashed(t, bytes.NewReader(counting(100_000))).Torrent
	before, err := metainfo.Load(bytes.NewReader(plain))
	if err != nil {
		t.Fatal(err)
	}
	for _, urls := range [][]string{nil, {"http://a/announce"}, {"http://a/announce", "http://b/announce"}} {
		b, err := WithTrackers(plain, urls)
		if err != nil {
			t.Fatal(err)
		}
		m, err := metainfo.Load(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.InfoBytes, before.InfoBytes) || !maps.Equal(m.PieceLayers, before.PieceLayers) {
			t.Errorf("%q: it is another torrent", urls)
		}
		if got := m.UpvertedAnnounceList().DistinctValues(); !slices.Equal(got, urls) || len(urls) > 0 && m.Announce != urls[0] {
			t.Errorf("%q: trackers are %q and %q", urls, m.Announce, m.AnnounceList)
		}
	}
	if _, err := WithTrackers([]byte("no torrent"), nil); err == nil {
		t.Error("anything is a torrent")
	}
}

// The infohash of a content must never change between versions of crow: hosts
// and seeders of both would be in two swarms. The roots and infohashes are those
// of libtorrent 2.0.8, told to make a private v2 torrent of a file so named.
func TestTorrentIsFixed(t *testing.T) {
	tests := []struct {
		size           int
		root, infohash string
	}{
		{1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "02d21e7a4e01db8c75feb0b44e2e148eaec8e707784e5e579e636f43668da3ab"},
		{16_385, "14426c0e2153e9b72eb7487650c50eb5a66076bcc460729d334178771015b692", "7d0435d277be6d129ed8b6b8c36e0eac80c7846f06ecc40cb749704c15413d92"},
		{65_536, "5b048abcd0a4cf84f21a3c7475a3f5b0cae10721dd24c492040fdf7949708cd1", "03c50831ce3aaf5d80bac576229bfce233174aa13deed37a4d0ae66ae1d21744"},
		{65_537, "97ecd8fab139d080c70ed9847df65c5227c94581ecab048aa5dce4da86726438", "d4280ae16d0cdb21983c2274abed4406d134086d2a065fd97be9deaedeff1777"},
		{100_000, "0563e9417c2a0d00132a0efe92b2d87591115f2e0aa5181cb058610454d90fe3", "bc0f087de81fdb8755859e49a05c863342006933880087e606e4bc4cbf87c251"},
		{34_603_785, "350b318cc275b0041aceb783249fcd4ae2801f104d25b301f916d96b66ac2dcd", "4b9f0f459e258b300f851fe9db6979b892384ed69b93d23ff78f45abe0892e3d"},
	}
	for _, tt := range tests {
		r := hashed(t, bytes.NewReader(counting(tt.size)))
		mi, err := metainfo.Load(bytes.NewReader(r.Torrent))
		if err != nil {
			t.Fatal(err)
		}
		info, err := mi.UnmarshalInfo()
		if err != nil {
			t.Fatal(err)
		}
		if root := info.FileTree.Dir[r.SHA256.String()].File.PiecesRoot; fmt.Sprintf("%x", root) != tt.root || r.InfoHash.String() != tt.infohash {
			t.Errorf("%d bytes: root %x, infohash %s", tt.size, root, r.InfoHash)
		}
	}
}

// counting is content that any language makes in a line: byte i is i*i/7 mod 256.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i / 7)
	}
	return b
}

func TestHasherOfNothing(t *testing.T) {
	h := NewHasher()
	if _, err := h.Write(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Sum(); !errors.Is(err, ErrUnusable) {
		t.Errorf("error %v", err)
	}
}

func TestHasherEnds(t *testing.T) {
	h := NewHasher()
	if _, err := h.Write(random(3 * blockLen)); err != nil {
		t.Fatal(err)
	}
	first, err := h.Sum()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write behind Sum: %v", err)
	}
	h.Close()
	h.Close()
	if again, err := h.Sum(); err != nil || again.InfoHash != first.InfoHash {
		t.Errorf("second Sum: %v, %v", again.Blob, err)
	}

	given := NewHasher()
	given.Close()
	if _, err := given.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write behind Close: %v", err)
	}
	if _, err := given.Sum(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Sum behind Close: %v", err)
	}
}

func TestHasherIsBounded(t *testing.T) {
	h := NewHasher()
	defer h.Close()
	h.size = release.MaxArtifactSize - 1
	if _, err := h.Write([]byte("xx")); !errors.Is(err, ErrUnusable) {
		t.Errorf("error %v", err)
	}
}

// A transport may go on writing when its caller has closed.
func TestHasherClosedWhileWritten(t *testing.T) {
	h, data := NewHasher(), random(blockLen+1)
	var wg sync.WaitGroup
	started := make(chan struct{})
	wg.Go(func() {
		close(started)
		for {
			if _, err := h.Write(data); err != nil {
				return
			}
		}
	})
	<-started
	h.Close()
	wg.Wait()
}

// What is held must not grow with the artifact. The file is sparse: only its
// length is large.
func TestMemoryStaysSmall(t *testing.T) {
	const size, limit = 256 << 20, 16 << 20
	path := filepath.Join(t.TempDir(), "sparse")
	write(t, path, nil)
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, h, most := heap(), NewHasher(), int64(0)
	defer h.Close()
	for range 4 {
		if _, err := io.CopyN(h, s, size/4); err != nil {
			t.Fatal(err)
		}
		most = max(most, heap()-before)
	}
	if most > limit {
		t.Errorf("%d bytes are held", most)
	}
	if r, err := h.Sum(); err != nil || r.Size != size || r.PieceLength != 512<<10 {
		t.Errorf("%+v, %v", r.Blob, err)
	}
}

func BenchmarkHasher(b *testing.B) {
	for _, size := range []int{1 << 20, 256 << 20} {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			chunk := random(1 << 20)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				h := NewHasher()
				for range size / len(chunk) {
					if _, err := h.Write(chunk); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := h.Sum(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
