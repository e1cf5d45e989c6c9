package server_test

import (
	"context"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
)

// askedGraph counts the questions for users.
type askedGraph struct {
	storage.Graph
	asked atomic.Int64
}

func (g *askedGraph) MissingUsers(ctx context.Context, ids []feed.UserID) ([]feed.UserID, error) {
	g.asked.Add(1)
	return g.Graph.MissingUsers(ctx, ids)
}

// Who exists is asked for once, who does not each time; and whoever shares the
// place of one who exists is still taken for nobody but itself.
func TestKnownUsers(t *testing.T) {
	const known, created, places = 1, 2, 1 << 17
	r := newRig(t, rigOptions{})
	r.users(known)
	double := feed.UserOfHash(feed.UserID(known).Hash() + places)
	for n := uint64(2); double <= 0; n++ {
		double = feed.UserOfHash(feed.UserID(known).Hash() + n*places)
	}
	create := func(author feed.UserID) codes.Code {
		_, err := r.CreatePost(r.Context(), &feedv1.CreatePostRequest{AuthorId: int64(author), Text: "honk"})
		return status.Code(err)
	}
	for i, c := range []struct {
		author feed.UserID
		want   codes.Code
		asked  int64
	}{
		{known, codes.OK, 1},
		{known, codes.OK, 0},
		{created, codes.NotFound, 1},
		{created, codes.NotFound, 1},
		{double, codes.NotFound, 1},
		{known, codes.OK, 0},
	} {
		before := r.graph.asked.Load()
		if got := create(c.author); got != c.want {
			t.Errorf("post %d, by user %d: %v, want %v", i, c.author, got, c.want)
		}
		if asked := r.graph.asked.Load() - before; asked != c.asked {
			t.Errorf("post %d, by user %d: asked %d times, want %d", i, c.author, asked, c.asked)
		}
	}
	for _, user := range []feed.UserID{created, double} {
		_, err := r.CreateUser(r.Context(), &feedv1.CreateUserRequest{Id: int64(user)})
		must(r, err)
		if got := create(user); got != codes.OK {
			t.Errorf("a post by user %d, created since: %v", user, got)
		}
	}
	if got := create(known); got != codes.OK {
		t.Errorf("a post by user %d, whose place another took: %v", known, got)
	}
}
