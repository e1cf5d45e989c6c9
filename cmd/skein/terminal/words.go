package terminal

import (
	"strings"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// OneLine is a text as one line that cannot harm a terminal: what moves the
// cursor, changes colors or turns the direction of writing is not shown.
func OneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\r', r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// Grouped writes a number with a comma between thousands.
func Grouped(n int64) string {
	return message.NewPrinter(language.English).Sprintf("%d", n)
}

// Count writes a number of things: 1 follow, 2 follows.
func Count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Grouped(n) + " " + many
}
