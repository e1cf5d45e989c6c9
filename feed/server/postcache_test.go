package server_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
)

// Trap "a delete that a cache remembers": a page has loaded a post; before it keeps
// the copy the post is deleted, and another page applies that delete, of the same
// shard or of another. The copy must not be kept, or it would be shown for as long as
// copies live.
func TestCopyLoadedBeforeADelete(t *testing.T) {
	for name, other := range map[string]int64{"same shard": 3, "another shard": 4} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{})
			r.users(4)
			r.follow(1, 2)
			r.follow(other, 2)
			r.wantHome(1)
			r.wantHome(other)
			post, deleted := r.pushed(2), r.pushed(2)
			overtaken := func() {
				r.delete(2, deleted)
				r.wantHome(other, post)
			}
			r.posts.afterGets.Store(&overtaken)
			r.page(1, 50, "")
			r.wantHome(other, post)
			r.wantHome(1, post)
		})
	}
}

// A: a copy lives a second at most, so that a delete which could not be announced may
// answer after that.
func TestCopiesLiveASecond(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	post, deleted := r.pushed(2), r.pushed(2)
	r.wantHome(1, deleted, post)
	must(r, r.posts.DeletePost(r.Context(), 2, feed.PostID(deleted)))
	r.clock.Add(time.Second)
	r.wantHome(1, post)
}

// T4: a call that deleted a post died, or has not come to its end, before it was
// announced. Whoever is then told that the post is gone reads no copy of it.
func TestADeleteOfWhatIsGoneIsAnnounced(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	r.follow(1, 2)
	r.wantHome(1)
	post, deleted := r.pushed(2), r.pushed(2)
	r.wantHome(1, deleted, post)
	must(r, r.store.DeletePost(r.Context(), 2, feed.PostID(deleted)))
	_, err := r.DeletePost(r.Context(), &feedv1.DeletePostRequest{AuthorId: 2, Id: deleted})
	if status.Code(err) != codes.NotFound {
		t.Fatalf("a second delete: %v", err)
	}
	r.wantHome(1, post)
}
