package main

// Colors, as SGR codes.
const (
	bold  = "1"
	red   = "31"
	green = "32"
)

// paint colors s where the error stream shows colors.
func (s streams) paint(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
