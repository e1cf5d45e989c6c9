package graph

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"

	"skein/feed"
)

const (
	// maxLine bounds the length of a line, in bytes, its end included.
	maxLine = 64 << 10
	// shown is how much of a bad line an error quotes, in bytes.
	shown = 80
)

// lister reads one edge list.
type lister struct {
	name    string
	options Options
	in      *bufio.Reader
	notes   Notes
	edges   edges
}

// open finds out about gzip by its magic bytes, and drops a byte order mark.
func (l *lister) open(r io.Reader) error {
	l.in = bufio.NewReaderSize(r, maxLine)
	if magic, _ := l.in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(l.in)
		if err != nil {
			return l.broken(err)
		}
		l.in = bufio.NewReaderSize(unzipped, maxLine)
	}
	if mark, _ := l.in.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = l.in.Discard(len(mark)) // cannot fail: it is in the buffer
	}
	return nil
}

func (l *lister) list() error {
	for {
		line, cut, err := l.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return l.broken(err)
		}
		l.notes.Lines++
		if why := l.take(line, cut); why != "" {
			if err := l.reject(line, why); err != nil {
				return err
			}
		}
		if uint64(len(l.edges.nodes)) >= maxUsers {
			return l.invalid("it has more than %d users", uint64(maxUsers))
		}
	}
}

// next returns a line without its end, valid until the next call; of one that
// exceeds maxLine only the beginning, and cut.
func (l *lister) next() (line []byte, cut bool, err error) {
	line, err = l.in.ReadSlice('\n')
	atEnd := len(line) == 0
	if cut = err == bufio.ErrBufferFull; cut {
		line = slices.Clone(line[:shown+1])
	} else {
		line = bytes.TrimRight(line, blanks+"\r\n")
	}
	for err == bufio.ErrBufferFull {
		if !l.options.SkipBad && !isComment(line) {
			return line, cut, nil // it is an error, wherever it ends
		}
		_, err = l.in.ReadSlice('\n')
	}
	if err == io.EOF && !atEnd {
		err = nil // the last line may lack its end
	}
	return line, cut, err
}

// take adds the line's follows; why, if not empty, says what is wrong with it.
func (l *lister) take(line []byte, cut bool) (why string) {
	switch {
	case isComment(line):
		return ""
	case cut:
		return fmt.Sprintf("it is longer than %d bytes", maxLine)
	case len(line) == 0:
		return ""
	}
	first, second, why := parse(line)
	if why != "" {
		return why
	}
	if first == 0 || second == 0 {
		l.notes.Shifted = true
	}
	if first == second {
		l.notes.SelfFollows++
		return ""
	}
	if !l.options.Reverse || l.options.Undirected {
		l.edges.add(first, second)
	}
	if l.options.Reverse || l.options.Undirected {
		l.edges.add(second, first)
	}
	return ""
}

// reject counts a bad line, or returns it as an error.
func (l *lister) reject(line []byte, why string) error {
	more := ""
	if len(line) > shown {
		line, more = line[:shown], " …"
	}
	err := l.invalid("line %d: %q%s: %s", l.notes.Lines, line, more, why)
	if !l.options.SkipBad {
		return err
	}
	l.notes.Skipped++
	if l.notes.Skipped == 1 {
		l.notes.FirstSkipped = err.Error()
	}
	return nil
}

// broken translates an error of the reader below.
func (l *lister) broken(err error) error {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	switch {
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return l.invalid("its gzip data ends too early, after line %d; get the file again", l.notes.Lines)
	case corrupt, err == gzip.ErrHeader, err == gzip.ErrChecksum:
		return l.invalid("its gzip data is damaged after line %d (%v); get the file again", l.notes.Lines, err)
	}
	return fmt.Errorf("%s: cannot be read after line %d: %w", l.name, l.notes.Lines, err)
}

func (l *lister) invalid(format string, args ...any) error {
	return &feed.Error{Code: feed.CodeInvalid, Message: l.name + ": " + fmt.Sprintf(format, args...)}
}
