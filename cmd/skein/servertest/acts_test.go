package servertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	feedv1 "skein/proto/feed/v1"
)

// What one API server has acknowledged, the next read on the other agrees with (T4), of
// home timelines and of the author's page: a create, an unfollow, a follow and a delete, a
// thousand times each.
func TestActsOnTheOtherServer(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 80
	}
	running(t, onServers, "").act(t, rounds)
}

// act has rounds of all acts, by several pairs side by side.
func (f *fleet) act(t *testing.T, rounds int) {
	t.Helper()
	const pairs = 8
	rounds /= pairs
	clients := f.clients(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var acting sync.WaitGroup
	var hidden atomic.Int64
	for range pairs {
		acting.Go(func() {
			p, err := newPair(ctx, clients[0])
			if err != nil {
				t.Error(err)
				return
			}
			anchor, err := p.post(ctx, clients[0], "from before all rounds")
			for round := 0; round < rounds && err == nil; round++ {
				var seen bool
				seen, err = p.round(ctx, clients[round%2], clients[(round+1)%2], anchor)
				if seen {
					hidden.Add(1)
				}
			}
			if err != nil {
				t.Errorf("author %d, viewer %d: %v", p.author, p.viewer, err)
			}
		})
	}
	acting.Wait()
	t.Logf("%d rounds of all acts; %d deleted posts had been seen", pairs*rounds, hidden.Load())
	if 2*int(hidden.Load()) < pairs*rounds {
		t.Error("most deleted posts were not there before: their absence proves nothing")
	}
}

// round acts on one server and reads on the other. seen says that the post it
// deletes was on the viewer's page before.
func (p pair) round(ctx context.Context, act, read client, anchor int64) (seen bool, err error) {
	id, err := p.post(ctx, act, "of this round")
	if err != nil {
		return false, err
	}
	if _, err := wantHome(ctx, read, "create", p.author, id, true); err != nil {
		return false, err
	}
	if err := p.wantAuthored(ctx, read, "create", id, true); err != nil {
		return false, err
	}
	edge := &feedv1.UnfollowRequest{ViewerId: p.viewer, AuthorId: p.author}
	if _, err := act.Unfollow(ctx, edge); err != nil {
		return false, err
	}
	if _, err := wantHome(ctx, read, "unfollow", p.viewer, anchor, false); err != nil {
		return false, err
	}
	if _, err := act.Follow(ctx, &feedv1.FollowRequest{ViewerId: p.viewer, AuthorId: p.author}); err != nil {
		return false, err
	}
	ids, err := wantHome(ctx, read, "follow", p.viewer, anchor, true)
	if err != nil {
		return false, err
	}
	seen = slices.Contains(ids, id)
	if _, err := act.DeletePost(ctx, &feedv1.DeletePostRequest{AuthorId: p.author, Id: id}); err != nil {
		return false, err
	}
	for _, viewer := range []int64{p.viewer, p.author} {
		if _, err := wantHome(ctx, read, "delete", viewer, id, false); err != nil {
			return false, err
		}
	}
	return seen, p.wantAuthored(ctx, read, "delete", id, false)
}

// wantAuthored reads the author's page once, which has rows of its own, and fails unless
// it shows the post or does not, as told.
func (p pair) wantAuthored(ctx context.Context, c client, after string, post int64, shown bool) error {
	page, err := c.GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: p.author, PageSize: 200})
	if err == nil && slices.ContainsFunc(page.GetPosts(), func(found *feedv1.Post) bool { return found.GetId() == post }) != shown {
		err = fmt.Errorf("after the %s, the next page of author %d has post %d: %t, want %t; it shows %v", after, p.author, post, !shown, shown, page.GetPosts())
	}
	return err
}

// wantHome reads a home timeline once, and fails unless it shows the post or does
// not, as told.
func wantHome(ctx context.Context, c client, after string, viewer, post int64, shown bool) ([]int64, error) {
	ids, sources, err := home(ctx, c, viewer)
	if err == nil && slices.Contains(ids, post) != shown {
		err = fmt.Errorf("after the %s, the next read of %d has post %d: %t, want %t; it shows %v, %v", after, viewer, post, !shown, shown, ids, sources)
	}
	return ids, err
}
