package main

import (
	"fmt"
	"strings"
)

// meant is the hint for a word that is not one of words, if one of them is
// near it; else it is empty.
func meant(word string, words []string) string {
	if near := nearest(word, words); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return ""
}

// maxEdits is how far a slip of the fingers goes: two edits, and a third of the
// word.
const maxEdits = 2

// nearest returns the one of words that is fewest edits from word, if that is
// few enough to be a slip of the fingers. Leading dashes do not count.
func nearest(word string, words []string) string {
	bare := func(s string) string { return strings.ToLower(strings.TrimLeft(s, "-")) }
	best, bestEdits := "", min(maxEdits, len(bare(word))/3)+1
	for _, w := range words {
		if n := edits(bare(word), bare(w)); n < bestEdits {
			best, bestEdits = w, n
		}
	}
	return best
}

// edits is the Levenshtein distance of a and b, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
