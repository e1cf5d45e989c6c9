package memory

import (
	"time"

	"skein/feed"
)

const (
	// DefaultCap is how many entries a timeline keeps when nothing is said.
	DefaultCap = 800

	// maxCap bounds Cap: an insertion may move all entries of a timeline.
	maxCap = 1 << 16
)

// Options set a store's limits. The zero value is ready for use.
type Options struct {
	// Cap is how many of the newest entries a timeline keeps: 1 to 65,536; 0
	// means DefaultCap. It may hold a sixteenth more for a while.
	Cap int

	// MaxBytes limits the memory of all timelines, room for entries, slots and
	// index included; 0 means no limit. Beyond it the timelines that were not
	// read for longest are evicted. A limit too small for one timeline evicts
	// all but the one at work.
	MaxBytes int64

	// Idle is for how long a timeline may go unread before it expires (T8); 0
	// means for ever.
	Idle time.Duration

	// Clock tells the time; nil means time.Now. It is called under a lock.
	Clock feed.Clock
}

// Validate reports what lies outside its bounds, as feed.Invalid.
func (o Options) Validate() error {
	var wrong []feed.Violation
	if o.Cap < 0 || o.Cap > maxCap {
		wrong = append(wrong, feed.Violation{Field: "Cap", Description: "must be 0 (the default) to 65,536 entries"})
	}
	if o.MaxBytes < 0 {
		wrong = append(wrong, feed.Violation{Field: "MaxBytes", Description: "must be 0 (no limit) or more"})
	}
	if o.Idle < 0 {
		wrong = append(wrong, feed.Violation{Field: "Idle", Description: "must be 0 (never) or more"})
	}
	if wrong != nil {
		return feed.Invalid(wrong...)
	}
	return nil
}

// settled returns the options with defaults filled in, and what Validate would
// refuse moved to the nearest bound.
func (o Options) settled() Options {
	if o.Cap == 0 {
		o.Cap = DefaultCap
	}
	o.Cap = min(max(o.Cap, 1), maxCap)
	o.MaxBytes = max(o.MaxBytes, 0)
	o.Idle = max(o.Idle, 0)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}
