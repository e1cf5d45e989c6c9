package graph

import (
	"bytes"
	"fmt"
)

// maxNode is the greatest node a file may name: with 1 added it is still a
// feed.UserID, whether or not the file turns out to contain node 0.
const maxNode = 1<<63 - 2

const blanks = " \t"

// isComment reports whether a line holds no nodes because it starts with # or %.
func isComment(line []byte) bool {
	line = bytes.TrimLeft(line, blanks)
	return len(line) > 0 && (line[0] == '#' || line[0] == '%')
}

// parse reads the first two columns of a line without its end; why, if not
// empty, says what is wrong with it. Weights, timestamps and whatever else
// follows is ignored.
func parse(line []byte) (first, second uint64, why string) {
	first, rest, why := parseNode(bytes.TrimLeft(line, blanks), "first")
	if why != "" {
		return 0, 0, why
	}
	second, _, why = parseNode(skipSeparator(rest), "second")
	return first, second, why
}

// parseNode reads a node at the start of text, up to a separator or the end.
func parseNode(text []byte, column string) (node uint64, rest []byte, why string) {
	end := 0
	for end < len(text) && text[end]-'0' <= 9 {
		digit := uint64(text[end] - '0')
		if node > (maxNode-digit)/10 {
			return 0, nil, fmt.Sprintf("the %s column is above %d", column, uint64(maxNode))
		}
		node = node*10 + digit
		end++
	}
	switch {
	case len(text) == 0:
		return 0, nil, "there is no " + column + " column"
	case end == 0 || end < len(text) && text[end] != ' ' && text[end] != '\t' && text[end] != ',':
		return 0, nil, fmt.Sprintf("the %s column is not a number from 0 to %d", column, uint64(maxNode))
	}
	return node, text[end:], ""
}

// skipSeparator drops blanks with at most one comma among them.
func skipSeparator(text []byte) []byte {
	text = bytes.TrimLeft(text, blanks)
	if len(text) > 0 && text[0] == ',' {
		text = bytes.TrimLeft(text[1:], blanks)
	}
	return text
}
