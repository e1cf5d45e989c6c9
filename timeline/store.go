package timeline

import (
	"context"

	"skein/feed"
)

// Entry is one post id in one timeline; its top bit says that the entry was put
// there from storage and not delivered.
type Entry uint64

const rebuiltBit = 1 << 63

// Delivered makes the entry of a pushed post.
func Delivered(id feed.PostID) Entry { return Entry(id) }

// Rebuilt makes the entry of a post read from storage.
func Rebuilt(id feed.PostID) Entry { return Entry(id) | rebuiltBit }

// ID is the entry's post.
func (e Entry) ID() feed.PostID { return feed.PostID(e &^ rebuiltBit) }

// IsRebuilt reports whether the entry came from storage.
func (e Entry) IsRebuilt() bool { return e&rebuiltBit != 0 }

// Token names one building of one timeline; no two share one. 0 is none.
type Token uint64

// State says what there is of a timeline.
type State uint8

const (
	// Absent: there is nothing, or what there is cannot be trusted.
	Absent State = iota
	// Building: created and not finished; its entries are not shown.
	Building
	// Live: it can be read.
	Live
)

// Header is what a stored timeline knows of itself.
type Header struct {
	// Bottom: every id above it that belongs here is here. 0: down to the
	// first post.
	Bottom feed.PostID
	// Token of the building that made it.
	Token Token
	// FollowVersion of the follow set that it covers: storage's number, which
	// means nothing here beyond being equal or not.
	FollowVersion uint64
	// Life of the event log under which it was built: storage's number. A
	// timeline of another life than the one asked for counts as absent.
	Life uint64
}

// Position is how much of the announced acts a read has seen.
type Position struct {
	// Acts changes whenever an act of this viewer was announced, and whenever
	// the timeline is created. 0 says that nothing is known: a copy that bears
	// it must not be used.
	Acts uint64
	// Shard of the viewer. Each shard counts deletes by itself: positions of
	// two do not compare.
	Shard int
	// Deletes counts the deletes announced so far, as Shard knows them: all, as
	// every shard is told of each.
	Deletes uint64
}

// Page is a part of a stored timeline.
type Page struct {
	State State
	Header
	// Entries, newest first, without duplicates; empty unless Live.
	Entries []Entry
	// Floor: every id from Floor on, and below the id asked for, that the
	// timeline holds is in Entries. It is the last entry's id when there are
	// more, else Bottom+1. Unless Live it is the id asked for: nothing is
	// covered.
	Floor feed.PostID
	Position
}

// Query asks for the newest Limit entries below Before, of a timeline built in
// Life.
type Query struct {
	Viewer feed.UserID
	Before feed.PostID
	Limit  int
	Life   uint64
}

// Delivery is one post for many viewers.
type Delivery struct {
	Post    feed.PostID
	Viewers []feed.UserID
}

// Outcome says what became of deliveries. Entries is how many were appended;
// Repeats were there already, or lie at or below the bottom; Misses found no
// timeline, live or building. A store that appends without looking may count a
// repeat as an entry.
type Outcome struct {
	Entries, Repeats, Misses int64
	// Undelivered holds, by shard, what a shard that fails did not take; it
	// may have taken part of it. Nil when all went well.
	Undelivered []Undelivered
}

// Undelivered is what one failing shard did not take, and why.
type Undelivered struct {
	Shard      int
	Deliveries []Delivery
	Err        error
}

// Mark is a moment in the life of a store: a worker's deliveries after it are those
// that the worker's Barrier is about. What one worker's Barrier finds lost is told to
// all whose marks are older. Marks of two stores do not compare.
type Mark uint64

// Act is something that must show at once everywhere (T4). Either may be 0.
type Act struct {
	// Viewer whose own posts or follows changed.
	Viewer feed.UserID
	// Deleted post.
	Deleted feed.PostID
}

// Deletes is the answer to DeletedSince.
type Deletes struct {
	// Posts deleted after the position asked for.
	Posts []feed.PostID
	// Known is false when the position is too far back to tell.
	Known bool
}

// Stats describes a store for metrics.
type Stats struct {
	Live, Building int64
	Entries, Bytes int64
	Evicted        int64 // for the byte limit, since the start
	Expired        int64 // for not having been read, since the start
}

// Store is a store of home timelines. All methods are safe for concurrent use.
// Each may fail with feed.CodeUnavailable; nothing else unless said.
type Store interface {
	// Read returns a page and counts as the viewer's reading: it alone keeps
	// a timeline from expiring and from being evicted.
	Read(ctx context.Context, q Query) (Page, error)

	// Create makes the timeline anew, being built and empty, whatever there
	// was, unless a building of this life is under way there (ok false). The
	// header's FollowVersion is set by Finish. A building that was begun long
	// ago (a minute) is taken over.
	Create(ctx context.Context, viewer feed.UserID, life uint64) (token Token, ok bool, err error)

	// Finish joins entries from storage (newest first, ids above bottom) to
	// what was delivered since Create, and makes the timeline live; only if
	// token is still there (ok). The bottom is the higher of bottom and the
	// one that the cap made meanwhile.
	Finish(ctx context.Context, viewer feed.UserID, token Token, entries []Entry, bottom feed.PostID, followVersion uint64) (ok bool, err error)

	// Fold joins entries of authors followed since, in any order, and moves
	// the follow version from old to next; only if the timeline is live and
	// token and old are still there (ok). Entries at or below the bottom are
	// ignored.
	Fold(ctx context.Context, viewer feed.UserID, token Token, old, next uint64, entries []Entry) (ok bool, err error)

	// Deliver writes each post into the timelines of its viewers that are
	// live or being built. It is idempotent. Viewers read lately come first,
	// where the store can tell at no cost; else the order is drawn each time.
	// A failing shard does not stop the others and is no error: see Outcome.
	// It keeps nothing of deliveries after it returned, Undelivered excepted,
	// which may alias it.
	Deliver(ctx context.Context, deliveries []Delivery) (Outcome, error)

	// Mark is what a worker takes before it delivers, for Barrier. It never
	// fails, and asks nobody.
	Mark() Mark

	// Barrier returns when every Deliver that began after mark was taken, and
	// has returned, is as safe as the store can make it. An error means that
	// these may be lost and must be repeated, under a new mark; with this one
	// it may fail for ever. A worker calls it before it commits offsets.
	Barrier(ctx context.Context, mark Mark) error

	// Drop removes timelines. Those absent are no error.
	Drop(ctx context.Context, viewers ...feed.UserID) error

	// Announce makes acts known: every Read, on any server, that begins after
	// it returned has a Position that differs from any read before.
	Announce(ctx context.Context, acts ...Act) error

	// DeletedSince returns the posts deleted after a position of Deletes that
	// was read in shard, and up to now. A position that this shard never gave
	// is not Known.
	DeletedSince(ctx context.Context, shard int, position uint64) (Deletes, error)

	// Shard returns the shard in which viewer's timeline lies: 0 to Shards-1.
	Shard(viewer feed.UserID) int

	// Shards returns how many there are. They may fail one by one.
	Shards() int

	// Stats describes the store now.
	Stats(ctx context.Context) (Stats, error)

	// Close ends it. The store must not be used afterwards.
	Close() error
}
