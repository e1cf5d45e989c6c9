package terminal

import (
	"skein/loadgen/graph"
	feedv1 "skein/proto/feed/v1"
)

// cursor walks over the follows of a graph by viewer, then author. A copy walks
// on from the same place.
type cursor struct {
	graph  *graph.Graph
	viewer uint32 // whose follows come next, and
	follow int    // which of them
}

func newCursor(g *graph.Graph) *cursor { return &cursor{graph: g} }

// skip passes over n follows, which the graph must have.
func (c *cursor) skip(n int64) {
	for n > 0 {
		row := int64(len(c.graph.Following(c.viewer)) - c.follow)
		if n < row {
			c.follow += int(n)
			return
		}
		n -= row
		c.viewer, c.follow = c.viewer+1, 0
	}
}

// next makes a message of n follows, which the graph must have.
func (c *cursor) next(n int64) *feedv1.ImportFollowsRequest {
	edges := make([]feedv1.FollowEdge, n)
	m := &feedv1.ImportFollowsRequest{Follows: make([]*feedv1.FollowEdge, 0, n)}
	for int64(len(m.Follows)) < n {
		row := c.graph.Following(c.viewer)
		if c.follow == len(row) {
			c.viewer, c.follow = c.viewer+1, 0
			continue
		}
		e := &edges[len(m.Follows)]
		e.ViewerId, e.AuthorId = int64(c.graph.ID(c.viewer)), int64(c.graph.ID(row[c.follow]))
		m.Follows = append(m.Follows, e)
		c.follow++
	}
	return m
}
