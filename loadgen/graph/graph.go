// Package graph holds who follows whom for the load generator: read from an
// edge list (Open, Read) or drawn at random in the shape of a real one
// (Synthesize). A graph is complete in memory and never changes; whatever
// happens to follows during a run is the business of those who run it. It
// knows no workload and talks to no server.
//
// A user has two names: its feed.UserID, which the API knows, and its index, 0
// to Users()-1, for slices. Indices rise with the ids.
package graph

import (
	"slices"

	"skein/feed"
)

// maxUsers is how many users a graph can have; an index is 32 bits wide.
const maxUsers = 1<<32 - 1

// Graph is who follows whom, in compressed rows (CSR): 4 bytes a follow and 20
// bytes a user. It is immutable, so any number of goroutines may use it.
type Graph struct {
	ids       []feed.UserID // ascending
	rows      []int64       // user i follows authors[rows[i]:rows[i+1]]
	authors   []uint32      // indices, ascending within a row, no duplicates
	followers []uint32      // how many follow user i
	most      int           // the greatest of followers
}

// newGraph takes over its arguments and counts the followers.
func newGraph(ids []feed.UserID, rows []int64, authors []uint32) *Graph {
	g := &Graph{ids: ids, rows: rows, authors: authors, followers: make([]uint32, len(ids))}
	for _, author := range authors {
		g.followers[author]++
	}
	g.most = int(slices.Max(g.followers))
	return g
}

// Users is the number of users, at least 2.
func (g *Graph) Users() int { return len(g.ids) }

// Follows is the number of follows, at least 1.
func (g *Graph) Follows() int64 { return int64(len(g.authors)) }

// ID is the id of the user at index i, which must be below Users().
func (g *Graph) ID(i uint32) feed.UserID { return g.ids[i] }

// Index is the inverse of ID; false if the graph has no such user.
func (g *Graph) Index(id feed.UserID) (uint32, bool) {
	// Ids without holes, the usual case, need no search.
	if guess := uint64(id) - uint64(g.ids[0]); guess < uint64(len(g.ids)) && g.ids[guess] == id {
		return uint32(guess), true
	}
	i, found := slices.BinarySearch(g.ids, id)
	return uint32(i), found
}

// Following lists the authors whom user i follows: indices, ascending, each
// once and never i itself. It is shared with the graph: read it only.
func (g *Graph) Following(i uint32) []uint32 {
	return g.authors[g.rows[i]:g.rows[i+1]:g.rows[i+1]]
}

// FollowerCount is how many users follow user i.
func (g *Graph) FollowerCount(i uint32) int { return int(g.followers[i]) }

// MaxFollowers is the greatest FollowerCount.
func (g *Graph) MaxFollowers() int { return g.most }

// ByFollowers lists all indices, most followers first, equals by rising id. The
// list is sorted anew for each call and belongs to the caller.
func (g *Graph) ByFollowers() []uint32 {
	keys := make([]uint64, len(g.ids))
	for i, count := range g.followers {
		keys[i] = uint64(^count)<<32 | uint64(i)
	}
	slices.Sort(keys)
	list := make([]uint32, len(keys))
	for rank, key := range keys {
		list[rank] = uint32(key)
	}
	return list
}
