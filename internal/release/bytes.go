package release

// Bytes counts an artifact's bytes on one host by their source, in bytes.
// Wasted bytes were received but not used: duplicates, or pieces that failed
// their hash. They are counted under their source too.
type Bytes struct {
	Local  int64 `json:"local"`
	Peer   int64 `json:"peer"`
	Seeder int64 `json:"seeder"`
	Origin int64 `json:"origin"`
	Wasted int64 `json:"wasted"`
}

// Received is what arrived over the network, wasted bytes included.
func (b Bytes) Received() int64 { return b.Peer + b.Seeder + b.Origin }

// Useful is what counts towards the artifact, wherever it came from.
func (b Bytes) Useful() int64 { return b.Local + b.Received() - b.Wasted }

// Add returns the sums of both counts.
func (b Bytes) Add(o Bytes) Bytes {
	return Bytes{
		Local: b.Local + o.Local, Peer: b.Peer + o.Peer, Seeder: b.Seeder + o.Seeder,
		Origin: b.Origin + o.Origin, Wasted: b.Wasted + o.Wasted,
	}
}
