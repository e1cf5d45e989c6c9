package report

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// table is rows of words and numbers, for a terminal or a page.
type table struct {
	Title string
	Head  []string
	Rows  [][]string
	left  int // how many columns, the first ones, are words
}

// Words reports whether a column holds words, not numbers.
func (t table) Words(column int) bool { return column < t.left }

// Cell is a cell's text for a page, which keeps a number and its unit on one
// line.
func (t table) Cell(column int, text string) string {
	if t.Words(column) {
		return text
	}
	return strings.NewReplacer(" (", " (", " ", "\u00a0").Replace(text)
}

// write writes the table as plain text, if it has rows.
func (t table) write(b *bytes.Buffer) {
	if len(t.Rows) == 0 {
		return
	}
	rows := append([][]string{t.Head}, t.Rows...)
	widths := make([]int, len(t.Head))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(b, "\n%s\n", t.Title)
	for _, row := range rows {
		for i, cell := range row {
			width := widths[i]
			if t.Words(i) {
				width = -width
			}
			fmt.Fprintf(b, "  %*s", width, cell)
		}
		b.WriteByte('\n')
	}
}
