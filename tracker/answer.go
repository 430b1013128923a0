package tracker

import (
	"encoding/binary"
	"net/http"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// refusal is what a refused request gets (BEP 3).
type refusal struct {
	Reason string `bencode:"failure reason"`
}

// announceAnswer is the answer to an announce (BEP 3). Peers is compact
// (BEP 23) or a list of peerEntry; compact IPv6 peers have a key of their own
// (BEP 7).
type announceAnswer struct {
	Complete   int    `bencode:"complete"`   // seeds
	Incomplete int    `bencode:"incomplete"` // downloaders
	Interval   int64  `bencode:"interval"`   // seconds
	Peers      any    `bencode:"peers"`
	Peers6     []byte `bencode:"peers6,omitempty"`
}

type peerEntry struct {
	ID   string `bencode:"peer id,omitempty"`
	IP   string `bencode:"ip"`
	Port uint16 `bencode:"port"`
}

func answerAnnounce(a announce, n neighbours) announceAnswer {
	answer := announceAnswer{
		Complete: n.counts[seed], Incomplete: n.counts[downloader],
		Interval: int64(n.interval / time.Second),
	}
	if a.compact {
		answer.Peers, answer.Peers6 = compactPeers(n.members)
	} else {
		answer.Peers = listPeers(n.members, !a.noPeerID)
	}
	return answer
}

// compactPeers packs addresses as their bytes and the port's, by family.
func compactPeers(members []member) (peers, peers6 []byte) {
	peers = []byte{} // the key must be there, be it empty
	for _, m := range members {
		to := &peers
		if m.addr.Addr().Is6() {
			to = &peers6
		}
		*to = binary.BigEndian.AppendUint16(append(*to, m.addr.Addr().AsSlice()...), m.addr.Port())
	}
	return peers, peers6
}

func listPeers(members []member, withID bool) []peerEntry {
	list := make([]peerEntry, 0, len(members))
	for _, m := range members {
		e := peerEntry{IP: m.addr.Addr().String(), Port: m.addr.Port()}
		if withID {
			e.ID = string(m.id[:])
		}
		list = append(list, e)
	}
	return list
}

// writeBencoded sends an answer, or says why that failed.
func writeBencoded(w http.ResponseWriter, answer any) error {
	b, err := bencode.Marshal(answer)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return err
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(b)
	return err
}
