package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"crow/internal/release"
)

// writeTable writes rows in aligned columns under a header. Columns of numbers
// would be right-aligned in print; for scripts that cut columns all are
// left-aligned.
func writeTable(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// seconds is a duration for people, to a tenth of a second below a minute.
func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// secondsOf is a measured number of seconds; 0 was not measured.
func secondsOf(s float64) string {
	if s == 0 {
		return "-"
	}
	return seconds(time.Duration(s * float64(time.Second)))
}

// ago is how long t is past, for people.
func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "never"
	case d < 2*time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0fs ago", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0fm ago", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0fh ago", d.Hours())
	default:
		return fmt.Sprintf("%.0fd ago", d.Hours()/24)
	}
}

// sizeOf is a number of bytes for a table; 0 is a dash, so that what moved
// stands out.
func sizeOf(n int64) string {
	if n == 0 {
		return "-"
	}
	return release.Size(n).String()
}

// pairs lists a map as key=value, sorted by key.
func pairs(m map[string]string, sep string) string {
	var all []string
	for k, v := range m {
		all = append(all, k+sep+v)
	}
	slices.Sort(all)
	return orDash(oneLine(strings.Join(all, " ")))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
