package tracker

import (
	"net/url"
	"slices"
	"strings"
)

// Limits of a query, in bytes.
const (
	maxQueryLen = 8 << 10 // a scrape of maxScrape infohashes, each byte as %XX
	maxValueLen = 64      // the longest value of use is an IPv6 address with a port
)

// parseQuery returns the values of the wanted keys; all others are passed over
// unread. Keys and values are bounded by maxQueryLen and maxValueLen.
func parseQuery(raw string, wanted []string) (url.Values, error) {
	if len(raw) > maxQueryLen {
		return nil, failLongQuery
	}
	values := url.Values{}
	for pair := range strings.SplitSeq(raw, "&") {
		key, escaped, _ := strings.Cut(pair, "=")
		if !slices.Contains(wanted, key) {
			continue
		}
		value, err := url.QueryUnescape(escaped)
		switch {
		case err != nil:
			return nil, failQuery
		case len(value) > maxValueLen:
			return nil, failLongValue
		}
		values.Add(key, value)
	}
	return values, nil
}
