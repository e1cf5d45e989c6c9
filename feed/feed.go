// Package feed is Skein's vocabulary: the ids, the posts, the errors, and the
// few rules that every room of the house must agree on. It stores nothing,
// talks to nothing and starts no goroutine.
//
// The words, as used everywhere:
//
//	author      a user who posts
//	viewer      a user who reads
//	follower    a user who follows an author
//	entry       one post id in one timeline
//	delivery    writing one entry
//	push        fan-out on write; pull: fan-in on read
//	loud        an author whose posts are pulled instead of pushed
//	lane        work of one urgency
//	chunk       a range of an author's followers, the unit of fan-out work
//	coverage    the ids between which a stored timeline is known to be complete
//	top         the delivered-through id: everything below it is delivered
//	bottom      the id above which a stored timeline is complete
//	lag         from a post's acknowledgement to its entry being readable
//	rebuild     a timeline made afresh from storage
package feed

import "time"

// UserID names a user: 1 to 2^63-1.
type UserID int64

// Valid reports whether u can name a user.
func (u UserID) Valid() bool { return u > 0 }

// Follow is an edge of the graph: Viewer follows Author.
type Follow struct {
	Viewer, Author UserID
}

// User is a user and its approximate degrees.
type User struct {
	ID         UserID
	CreateTime time.Time
	// Followers and Following may be off by one percent.
	Followers, Following int64
}

// Post is what an author wrote. Posts are immutable; holders share Payload and
// must not write to it.
type Post struct {
	ID      PostID
	Author  UserID
	Text    string
	Payload []byte
}

// Ref names a post and its author: what a merge needs to know before the post
// itself is fetched.
type Ref struct {
	Post   PostID
	Author UserID
}

// Clock tells the time. Everything that compares ids with the present takes
// one, so that tests can bend it.
type Clock func() time.Time
