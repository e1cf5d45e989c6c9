package redis

import (
	"log/slog"
	"time"

	"skein/feed"
)

const (
	// DefaultCap is how many entries a timeline keeps when nothing is said.
	DefaultCap = 800
	// DefaultIdle is after how long a timeline expires when nothing is said.
	DefaultIdle = 7 * 24 * time.Hour

	// maxCap bounds Cap: a script that sorts a timeline holds up the server,
	// a third of a millisecond for 1,000 entries.
	maxCap = 1 << 14
)

// Options set a store's limits. The zero value is ready for use.
type Options struct {
	// Cap is how many of the newest entries a timeline keeps: 1 to 16,384; 0
	// means DefaultCap. It may hold a quarter more for a while.
	Cap int

	// Idle is for how long a timeline may go unread before it expires (T8),
	// in the server's time: a second or more; 0 means DefaultIdle. There is no
	// "never": under volatile-ttl only what expires can be evicted.
	Idle time.Duration

	// Prefix begins the name of every key, so that several installations can
	// share one server. Its bytes are paid for each timeline. It may hold no
	// braces, which Redis Cluster reads.
	Prefix string

	// Logger gets what an operator should know; nil means slog.Default.
	Logger *slog.Logger
}

// Validate reports what lies outside its bounds, as feed.Invalid.
func (o Options) Validate() error {
	var wrong []feed.Violation
	if o.Cap < 0 || o.Cap > maxCap {
		wrong = append(wrong, feed.Violation{Field: "Cap", Description: "must be 0 (the default) to 16,384 entries"})
	}
	if o.Idle != 0 && o.Idle < time.Second {
		wrong = append(wrong, feed.Violation{Field: "Idle", Description: "must be 0 (the default) or at least a second"})
	}
	if !validPrefix(o.Prefix) {
		wrong = append(wrong, feed.Violation{Field: "Prefix", Description: "must hold no braces"})
	}
	if wrong != nil {
		return feed.Invalid(wrong...)
	}
	return nil
}

// settled returns valid options with defaults filled in.
func (o Options) settled() Options {
	if o.Cap == 0 {
		o.Cap = DefaultCap
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// full is how many entries a timeline may have before it is cut.
func (o Options) full() int { return o.Cap + o.Cap/4 }
