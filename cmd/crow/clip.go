package main

// Lengths of text output, in characters: a hook may print one line of 8 KiB.
// JSON keeps everything.
const (
	maxHookLine  = 200
	maxErrorLine = 300
	maxNote      = 200 // in a table
)

// clip shortens s to at most most characters, the last an ellipsis.
func clip(s string, most int) string {
	count, end := 0, 0 // end is where the last character but one of most ends
	for i := range s {
		switch count++; count {
		case most:
			end = i
		case most + 1:
			return s[:end] + "…"
		}
	}
	return s
}
