package storage

import (
	"context"
	"time"

	"skein/feed"
)

// Draft is a post about to be written.
type Draft struct {
	Post feed.Post
	// RequestID is the idempotency key in the scope of the author; "" for none.
	RequestID string
}

// Posts keeps posts.
type Posts interface {
	feed.Granter
	Outbox

	// Now is the time by which ids are taken, and by which this storage judges
	// their age, as far as this process knows without asking. Where other processes
	// share the storage it is theirs too, within policy.MaxSkew, whatever this
	// process's own clock says; or OldestEvent fails.
	Now() time.Time

	// CreatePost writes a post under W1 to W4. It does not look whether the
	// author exists. With a request id that was used before it writes nothing
	// and returns the post that the first call made, under its original id,
	// even if that was deleted since.
	//
	// From before the last look at the id's age until it returns, OldestEvent
	// counts the post: so a commit that stalls holds the top back.
	//
	// feed.CodeExists: the request id was used with other content.
	// feed.ErrLate: the id is too old, take another; nothing is visible.
	CreatePost(ctx context.Context, draft Draft) (feed.Post, error)

	// DeletePost removes a post; when it returns, no read finds it. Its
	// idempotency key stays.
	//
	// feed.CodeNotFound: there is no such post; that it is gone is durable.
	// feed.CodeDenied: it is another author's.
	DeletePost(ctx context.Context, author feed.UserID, id feed.PostID) error

	// GetPosts returns those posts that exist, in the order asked, as one
	// multi-get. A duplicate id gives a duplicate post. It fails as a whole:
	// a post that could not be asked for is never reported as absent.
	GetPosts(ctx context.Context, ids []feed.PostID) ([]feed.Post, error)

	// Newest returns the newest limit posts of all ranges together, newest
	// first, without duplicates (ranges of one author may overlap). Fewer than
	// limit means that there are no more. It sees every post whose CreatePost
	// returned before the call began, and reads where posts are committed,
	// never a replica that lags.
	Newest(ctx context.Context, ranges []Range, limit int) ([]feed.Ref, error)

	// PostsOf returns the newest limit posts of an author with ids below before,
	// whole, newest first. Fewer than limit means that there are no more. It sees
	// what Newest sees.
	PostsOf(ctx context.Context, author feed.UserID, before feed.PostID, limit int) ([]feed.Post, error)
}

// Event is what the outbox holds of a post: enough to plan its fan-out.
type Event struct {
	Post   feed.PostID
	Author feed.UserID
}

// Outbox holds the events that are durable and not yet in the event log.
type Outbox interface {
	// Relay hands up to limit events, lowest post id first, to publish, and
	// removes them when publish returns nil. It hands out nothing whose
	// storage is not durable. Several relays may run at once; they mostly get
	// different events, yet an event may be published more than once, and in
	// any order. oldest is the least post id in the outbox, those held by
	// other relays included, when the events were taken.
	//
	// It returns how many it removed, and publish's error as it is.
	Relay(ctx context.Context, limit int, publish func(oldest feed.PostID, events []Event) error) (int, error)

	// OldestEvent returns the least post id in the outbox, held ones included;
	// feed.MaxPostID when it is empty.
	OldestEvent(ctx context.Context) (feed.PostID, error)

	// CountEvents returns how many events wait, exact or a close estimate.
	CountEvents(ctx context.Context) (int64, error)
}
