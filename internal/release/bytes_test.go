package release

import "testing"

func TestBytes(t *testing.T) {
	b := Bytes{Local: 1, Peer: 20, Seeder: 300, Origin: 4000, Wasted: 5}
	if b.Received() != 4320 || b.Useful() != 4316 {
		t.Errorf("received %d, useful %d", b.Received(), b.Useful())
	}
	if sum, want := b.Add(b), (Bytes{2, 40, 600, 8000, 10}); sum != want {
		t.Errorf("sum %+v", sum)
	}
}
