package storage

import (
	"context"

	"skein/feed"
)

// Graph keeps users and who follows whom, and the shared facts.
type Graph interface {
	Users
	Follows
	Shared
}

// Users keeps users.
type Users interface {
	// CreateUser makes a user with the given id, or with a free one of the
	// engine's choice for id 0.
	//
	// feed.CodeExists: the id is taken.
	CreateUser(ctx context.Context, id feed.UserID) (feed.User, error)

	// GetUsers returns those users that exist, in the order asked, as one
	// multi-get.
	GetUsers(ctx context.Context, ids []feed.UserID) ([]feed.User, error)

	// MissingUsers returns those of ids that are no users, in the order asked.
	// It is cheaper than GetUsers, for calls that only need to know.
	MissingUsers(ctx context.Context, ids []feed.UserID) ([]feed.UserID, error)

	// CountFollowers returns how many followers each author has, in the order
	// asked, 0 for one who is no user. It may be off by a hundredth.
	CountFollowers(ctx context.Context, authors []feed.UserID) ([]int64, error)
}

// FollowVersion counts the changes of one viewer's follow set: every Follow that
// adds and every Unfollow that removes raises it. 0 is the empty set of a viewer
// who never followed.
type FollowVersion uint64

// FollowSet is whom a viewer follows, at one version. It is immutable.
type FollowSet struct {
	Version FollowVersion
	// Authors is ascending.
	Authors []feed.UserID
	// Since holds, for each of Authors, the version that the follow made.
	Since []FollowVersion
}

// Follows keeps edges, readable from both ends.
type Follows interface {
	// Follow adds an edge, and reports whether it was new. When it returns the
	// edge is durable, new or not, and both ends show it. A new edge bears the new version
	// of the viewer's set, also if the same edge existed before. It does not
	// look whether the users exist.
	Follow(ctx context.Context, edge feed.Follow) (added bool, err error)

	// Unfollow removes an edge, and reports whether it was there.
	Unfollow(ctx context.Context, edge feed.Follow) (removed bool, err error)

	// GetFollowSet returns whom a viewer follows, as one consistent version,
	// read where edges are committed. An unknown viewer has the empty set.
	// known, if not nil, is one that it returned for this viewer before: as long
	// as the version is still that, known itself is returned, which takes one row
	// however many there are.
	GetFollowSet(ctx context.Context, viewer feed.UserID, known *FollowSet) (*FollowSet, error)

	// ListFollowing returns up to limit authors whom viewer follows, ascending,
	// greater than after.
	ListFollowing(ctx context.Context, viewer, after feed.UserID, limit int) ([]feed.UserID, error)

	// ListFollowers appends to buf up to limit followers of author whose hash
	// lies in r, by rising hash, and returns it. It sees every edge committed
	// before the call: never from a lagging replica or a stale cache, since a
	// follower left out is a gap. To go on, set r.First to the hash of the
	// last follower plus one; fewer than limit appended means the end.
	ListFollowers(ctx context.Context, author feed.UserID, r feed.HashRange, limit int, buf []feed.UserID) ([]feed.UserID, error)

	// FirstFollowers returns for each of authors, in the order asked, what
	// ListFollowers would: up to limit followers by rising hash. It is one question
	// where the engine can, for those who have few.
	FirstFollowers(ctx context.Context, authors []feed.UserID, limit int) ([][]feed.UserID, error)

	// ImportFollows adds many edges, at most MaxImport, and makes users that do not
	// exist. Up to 250 edges of one viewer commit at once, under one version; of a
	// call as a whole that holds only where the engine has transactions over rows
	// (embedded, PostgreSQL). After an error some or all of the edges may be there,
	// each at both ends; imported again, the rest is added. Edges that exist, or
	// stand twice in the call, count as received and not as added.
	ImportFollows(ctx context.Context, edges []feed.Follow) (Imported, error)
}

// MaxImport is the most edges that one ImportFollows takes.
const MaxImport = 10_000

// Imported tells what an import changed.
type Imported struct {
	Added, UsersCreated int64
}

// Contains reports whether the set has author, and since which version.
func (s *FollowSet) Contains(author feed.UserID) (FollowVersion, bool) {
	lo, hi := 0, len(s.Authors)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.Authors[mid] < author {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(s.Authors) && s.Authors[lo] == author {
		return s.Since[lo], true
	}
	return 0, false
}
