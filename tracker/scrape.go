package tracker

// maxScrape is how many torrents one scrape may ask about.
const maxScrape = 100

// scrapeAnswer is the answer to a scrape (BEP 48), by raw infohash.
type scrapeAnswer struct {
	Files map[string]scrapeEntry `bencode:"files"`
}

type scrapeEntry struct {
	Complete   int   `bencode:"complete"`   // seeds
	Downloaded int64 `bencode:"downloaded"` // completed events since it was registered
	Incomplete int   `bencode:"incomplete"` // downloaders
}

// parseScrape reads a scrape's query. A scrape of everything is refused: it
// would list all torrents to whoever asks, in an answer without bounds.
func parseScrape(rawQuery string) ([]infohash, error) {
	q, err := parseQuery(rawQuery, []string{"info_hash"})
	if err != nil {
		return nil, err
	}
	switch n := len(q["info_hash"]); {
	case n == 0:
		return nil, failNoHash
	case n > maxScrape:
		return nil, failManyHashes
	}
	hashes := make([]infohash, 0, len(q["info_hash"]))
	for _, s := range q["info_hash"] {
		h, err := parse20(s, failInfoHash)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// scrape counts the swarms; torrents that are not registered are left out.
func (t *Tracker) scrape(hashes []infohash) scrapeAnswer {
	t.mu.Lock()
	defer t.mu.Unlock()
	answer := scrapeAnswer{Files: map[string]scrapeEntry{}}
	for _, h := range hashes {
		if s := t.swarms[h]; s != nil {
			n := s.counts()
			answer.Files[string(h[:])] = scrapeEntry{Complete: n[seed], Downloaded: s.completed, Incomplete: n[downloader]}
		}
	}
	return answer
}
