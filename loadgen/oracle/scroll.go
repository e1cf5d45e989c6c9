package oracle

import (
	"fmt"

	"skein/feed"
)

// Source is where the server says that an entry came from. The numbers are the
// API's.
type Source uint8

// sourceNames are the keys of by_source, by Source.
var sourceNames = [...]string{
	"unspecified", "pushed", "pulled", "newly_followed", "above_top", "rebuilt", "below_bottom", "own",
}

const sources = len(sourceNames)

// Pushed marks an entry that a worker delivered.
const Pushed Source = 1

func (s Source) String() string { return sourceNames[s.bounded()] }

// bounded takes a source that this package does not know as unspecified.
func (s Source) bounded() Source {
	if int(s) >= sources {
		return 0
	}
	return s
}

// Item is one post as a page shows it.
type Item struct {
	ID      feed.PostID
	Author  feed.UserID
	Text    string
	Payload []byte
	Source  Source
}

// Page is one answer. Token is what it was asked with, Next what it returned.
type Page struct {
	Token, Next string
	Asked       int
	Start, End  Moment
	Items       []Item
}

// shortPages is how many short pages in a row a server may return with a token
// before it counts as making no progress (T5).
const shortPages = 3

// Scroll is one reading of a home timeline from its first page on, complete or
// broken off. It has one owner.
type Scroll struct {
	Viewer uint32
	Pages  []Page

	complete bool        // the last token was empty
	stuck    string      // why it will not end by itself, if so
	short    int         // short pages in a row
	last     feed.PostID // shown so far; 0: none
}

// Add appends a page and reports whether to ask for the next one: not when the
// token is empty, nor when the pages do not go down.
func (s *Scroll) Add(p Page) (more bool) {
	s.Pages = append(s.Pages, p)
	above := s.last
	if n := len(p.Items); n > 0 {
		s.last = p.Items[n-1].ID
	}
	if p.Next == "" {
		s.complete = true
		return false
	}
	if len(p.Items) < p.Asked {
		s.short++
	} else {
		s.short = 0
	}
	switch {
	case s.short > shortPages:
		s.stuck = fmt.Sprintf("%d short pages in a row, each with a token", s.short)
	case p.Next == p.Token:
		s.stuck = "a page returned the token that it was asked with"
	case len(p.Items) > 0 && above != 0 && s.last >= above:
		return false // T2 or T3 is violated, and there may be no end
	}
	return s.stuck == ""
}

// begin and end are those of the whole scroll.
func (s *Scroll) begin() Moment { return s.Pages[0].Start }
func (s *Scroll) end() Moment   { return s.Pages[len(s.Pages)-1].End }
