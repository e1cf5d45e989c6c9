package graph

import (
	"fmt"
	"io"
	"os"
)

// Options say how to read an edge list. By default a line is "follower author"
// and a bad one is an error.
type Options struct {
	// Reverse: a line is "author follower".
	Reverse bool
	// Undirected: each line is two follows, one in either direction.
	Undirected bool
	// SkipBad: bad lines are counted, not an error.
	SkipBad bool
}

// Notes is what reading noticed.
type Notes struct {
	// Lines read, comments and blank ones included.
	Lines int64
	// Skipped bad lines; only with Options.SkipBad.
	Skipped int64
	// SelfFollows that were dropped. A user named in nothing else is not in
	// the graph.
	SelfFollows int64
	// Duplicates: follows that were there already.
	Duplicates int64
	// Shifted: the file contains node 0, so 1 was added to every id.
	Shifted bool
	// FirstSkipped is the error of the first skipped line.
	FirstSkipped string
}

// Open reads the edge list in a file. See Read.
func Open(path string, o Options) (*Graph, Notes, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Notes{}, fmt.Errorf("cannot read the graph: %w", err)
	}
	defer f.Close()
	return Read(f, path, o)
}

// Read reads an edge list in the format of SNAP (snap.stanford.edu/data), plain
// or compressed by gzip: two nodes a line, 0 to 2^63-2, separated by blanks,
// tabs or a comma; further columns are ignored, as are blank lines and those
// that start with # or %. An id of the graph is the node, or the node plus 1 if
// the file contains node 0.
//
// What cannot be read as that is an error of feed.CodeInvalid that tells name,
// the line's number, its beginning and what is wrong with it; so is a graph
// without a single follow. Notes are valid as far as reading came. Memory: 12
// bytes a follow, up to twice that while the list of follows grows, and some 50
// bytes a user.
func Read(r io.Reader, name string, o Options) (*Graph, Notes, error) {
	l := lister{name: name, options: o}
	if err := l.open(r); err != nil {
		return nil, l.notes, err
	}
	if err := l.list(); err != nil {
		return nil, l.notes, err
	}
	if len(l.edges.pairs) == 0 {
		return nil, l.notes, l.invalid("there is no follow in it (lines: %d, bad: %d, self-follows: %d); is it an edge list?",
			l.notes.Lines, l.notes.Skipped, l.notes.SelfFollows)
	}
	var shift uint64
	if l.notes.Shifted {
		shift = 1
	}
	g, duplicates := l.edges.build(shift)
	l.notes.Duplicates = duplicates
	return g, l.notes, nil
}
