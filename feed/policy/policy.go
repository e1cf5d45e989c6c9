// Package policy decides who is pushed and who is pulled. It is pure: it holds
// no clock and does no I/O, and two processes that read the same history decide
// the same.
//
// An author has a tier: Quiet (its posts are pushed to its followers) or Loud
// (its followers pull them). The tier of a post is the tier of its author as of
// the post's id, so that a change in the middle of a stream leaves no interval
// that is neither pushed nor pulled. A change is made for an id far enough ahead
// that no reader or planner still works with an older history when ids get there
// (see Lead).
package policy

import (
	"fmt"
	"time"
)

// Tier says how an author's posts reach the followers.
type Tier uint8

const (
	// Quiet authors are pushed.
	Quiet Tier = iota
	// Loud authors are pulled.
	Loud
)

func (t Tier) String() string {
	if t == Loud {
		return "loud"
	}
	return "quiet"
}

// Mode is the whole system's attitude.
type Mode uint8

const (
	// Hybrid pushes quiet authors and pulls loud ones.
	Hybrid Mode = iota
	// Push pushes everybody.
	Push
	// Pull pulls everybody.
	Pull
)

var modeNames = [...]string{Hybrid: "hybrid", Push: "push", Pull: "pull"}

func (m Mode) String() string { return modeNames[m] }

// ParseMode reads what String writes.
func ParseMode(s string) (Mode, error) {
	for m, name := range modeNames {
		if s == name {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("mode %q is not one of push, pull, hybrid", s)
}

// Settings is what an operator chooses. It lives in storage, not in a process's
// flags, so that two processes cannot disagree.
type Settings struct {
	Mode Mode
	// LoudAt is the follower count from which on a quiet author becomes loud
	// in Hybrid; at least 1.
	LoudAt int64
}

// DefaultSettings holds until an operator says otherwise.
var DefaultSettings = Settings{Mode: Hybrid, LoudAt: 10_000}

// QuietBelow is the follower count below which a loud author becomes quiet: a
// fifth below LoudAt, so that an author at the threshold does not flap, and far
// more than the one percent by which a count may be off.
func (s Settings) QuietBelow() int64 { return s.LoudAt - s.LoudAt/5 }

// Decide returns the tier that an author with so many followers should have,
// given the one that it has.
func (s Settings) Decide(now Tier, followers int64) Tier {
	switch {
	case s.Mode == Push:
		return Quiet
	case s.Mode == Pull:
		return Loud
	case followers >= s.LoudAt:
		return Loud
	case followers < s.QuietBelow():
		return Quiet
	}
	return now
}

const (
	// MaxAge is how old a copy of the history may be and still be used. With
	// an older one a planner stops and a reader pulls.
	MaxAge = 2 * time.Second
	// MaxSkew is how far two clocks may be apart.
	MaxSkew = time.Second
	// Lead is how far ahead of now a change takes effect: no copy made before
	// the change may still be in use when ids get there.
	Lead = MaxAge + MaxSkew
)
