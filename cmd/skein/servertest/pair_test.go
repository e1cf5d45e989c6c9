package servertest

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	feedv1 "skein/proto/feed/v1"
)

// client is one of one API server.
type client struct {
	feedv1.PostServiceClient
	feedv1.GraphServiceClient
	feedv1.TimelineServiceClient
}

// clients connects to each API server of the fleet.
func (f *fleet) clients(t *testing.T) (clients []client) {
	t.Helper()
	for _, target := range f.targets() {
		c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		clients = append(clients, client{feedv1.NewPostServiceClient(c), feedv1.NewGraphServiceClient(c), feedv1.NewTimelineServiceClient(c)})
	}
	return clients
}

// pair is an author and a viewer who follows nobody else. Both are strangers to
// every graph of a load.
type pair struct{ author, viewer int64 }

// strangers counts the users made here, above all ids of a load's graph.
var strangers atomic.Int64

func newPair(ctx context.Context, c client) (pair, error) {
	const above = 1_000_000
	p := pair{above + strangers.Add(1), above + strangers.Add(1)}
	for _, id := range []int64{p.author, p.viewer} {
		if _, err := c.CreateUser(ctx, &feedv1.CreateUserRequest{Id: id}); err != nil {
			return p, err
		}
	}
	_, err := c.Follow(ctx, &feedv1.FollowRequest{ViewerId: p.viewer, AuthorId: p.author})
	return p, err
}

// post creates one of the author's.
func (p pair) post(ctx context.Context, c client, text string) (id int64, err error) {
	post, err := c.CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: p.author, Text: text})
	return post.GetId(), err
}

// home reads a first page, and returns the ids on it.
func home(ctx context.Context, c client, viewer int64) (ids []int64, sources []feedv1.Source, err error) {
	page, err := c.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{ViewerId: viewer, PageSize: 200, Explain: true})
	for _, post := range page.GetPosts() {
		ids = append(ids, post.GetId())
	}
	return ids, page.GetSources(), err
}

// wantPulled posts on one API server while nobody can deliver, and fails unless the
// follower's home timeline on the other comes to show the post, pulled.
func (f *fleet) wantPulled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	clients := f.clients(t)
	p, err := newPair(ctx, clients[0])
	must(t, err)
	// Rebuilt before the post is there, so that it cannot come from the rebuild.
	_, _, err = home(ctx, clients[1], p.viewer)
	must(t, err)
	id, err := p.post(ctx, clients[0], "while the log is away")
	if err != nil {
		t.Fatalf("a post is not acknowledged while the log is away: %v", err)
	}
	eventually(t, fmt.Sprintf("post %d is on the home timeline of %d", id, p.viewer), func() bool {
		ids, sources, err := home(ctx, clients[1], p.viewer)
		must(t, err)
		at := slices.Index(ids, id)
		if at >= 0 && sources[at] != feedv1.Source_SOURCE_ABOVE_TOP {
			t.Errorf("post %d came as %v, while the log is away", id, sources[at])
		}
		return at >= 0
	})
}
