package policy

import (
	"skein/feed"
)

// Change says that from From on (inclusive) an author, or everybody, has Tier.
type Change struct {
	From feed.PostID
	Tier Tier
}

// History is the changes of one author, oldest first, with rising From. Before
// the first change the author was Quiet. A History is immutable: Add returns
// another.
type History []Change

// MaxChanges bounds a history; see Add.
const MaxChanges = 32

// At returns the tier as of id.
func (h History) At(id feed.PostID) Tier {
	tier := Quiet
	for _, c := range h {
		if c.From > id {
			break
		}
		tier = c.Tier
	}
	return tier
}

// Latest returns the tier that will hold once every change took effect.
func (h History) Latest() Tier {
	if len(h) == 0 {
		return Quiet
	}
	return h[len(h)-1].Tier
}

// Add returns h with a change at the end. A change to the tier that holds
// already, or not after the last change, returns h itself; so does a change to
// Quiet once the history is full: who changed so often stays loud. (To forget old
// changes instead would alter the past: a reader with an older copy would not pull
// what a timeline rebuilt with a newer one leaves out.)
func (h History) Add(c Change) History {
	switch {
	case c.Tier == h.Latest():
		return h
	case len(h) > 0 && c.From <= h[len(h)-1].From:
		return h
	case c.Tier == Quiet && len(h)+1 >= MaxChanges:
		return h
	}
	return append(h[:len(h):len(h)], c)
}

// Interval is a span of ids: First inclusive, Before exclusive.
type Interval struct {
	First, Before feed.PostID
}

// Loud returns the intervals in which the author was, is or will be pulled,
// oldest first; the last may reach to feed.MaxPostID.
func (h History) Loud() []Interval {
	var loud []Interval
	for i, c := range h {
		if c.Tier != Loud {
			continue
		}
		before := feed.MaxPostID
		if i+1 < len(h) {
			before = h[i+1].From
		}
		loud = append(loud, Interval{First: c.From, Before: before})
	}
	return loud
}
