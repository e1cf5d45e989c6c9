package server_test

import (
	"context"
	"testing"
	"testing/synctest"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
	"skein/timeline"
)

// The bounds of the reader, as the server has them.
const (
	maxRebuilds = 64
	maxDegraded = 64
)

// heldPosts and heldTimelines let nobody through until gate is closed.
type heldPosts struct {
	storage.Posts
	gate chan struct{}
}

func (p *heldPosts) GetPosts(ctx context.Context, ids []feed.PostID) ([]feed.Post, error) {
	<-p.gate
	return p.Posts.GetPosts(ctx, ids)
}

type heldTimelines struct {
	timeline.Store
	gate chan struct{}
}

func (s *heldTimelines) Finish(ctx context.Context, viewer feed.UserID, token timeline.Token, entries []timeline.Entry, bottom feed.PostID, version uint64) (bool, error) {
	<-s.gate
	return s.Store.Finish(ctx, viewer, token, entries, bottom, version)
}

// readers lets users 1 to n, who follow user n+1, read at once.
func (r *rig) readers(n int64) (results chan error) {
	results = make(chan error, n)
	for viewer := int64(1); viewer <= n; viewer++ {
		go func() {
			page, err := r.GetHomeTimeline(r.Context(), &feedv1.GetHomeTimelineRequest{ViewerId: viewer})
			if err == nil && len(page.GetPosts()) != 1 {
				err = status.Errorf(codes.DataLoss, "viewer %d got %v, want one post", viewer, page)
			}
			results <- err
		}()
	}
	return results
}

func newCrowd(t *testing.T, n int64) *rig {
	r := newRig(t, rigOptions{})
	r.users(n + 1)
	for viewer := int64(1); viewer <= n; viewer++ {
		r.follow(viewer, n+1)
	}
	r.post(n + 1)
	return r
}

// Pages that storage makes because the timelines are down are bounded: those
// beyond are turned away at once, told when to come back, and the others end
// as if they were alone.
func TestDegradedReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tooMany = 36
		r := newCrowd(t, maxDegraded+tooMany)
		r.timelines.down.Store(true)
		gate := make(chan struct{})
		r.posts.Posts = &heldPosts{Posts: r.store, gate: gate}
		results := r.readers(maxDegraded + tooMany)
		synctest.Wait()
		if len(results) != tooMany {
			t.Errorf("%d pages were turned away while %d are in work, want %d", len(results), maxDegraded, tooMany)
		}
		for range len(results) {
			wantRetry(t, <-results)
		}
		close(gate)
		for range maxDegraded {
			must(t, <-results)
		}
		// What was taken was given back.
		results = r.readers(maxDegraded)
		for range maxDegraded {
			must(t, <-results)
		}
	})
}

// wantRetry checks for RESOURCE_EXHAUSTED with a delay.
func wantRetry(t *testing.T, err error) {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok && retry.GetRetryDelay().AsDuration() > 0 && status.Code(err) == codes.ResourceExhausted {
			return
		}
	}
	t.Errorf("got %v, want RESOURCE_EXHAUSTED with a retry delay", err)
}

// T7: after a lost cache everybody rebuilds, but not all at once; the others wait
// for their turn, and all are served.
func TestRebuildsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const readers = maxRebuilds + 36
		r := newCrowd(t, readers)
		gate := make(chan struct{})
		r.timelines.Store = &heldTimelines{Store: r.timelines.Store, gate: gate}
		results := r.readers(readers)
		synctest.Wait()
		if n := r.timelines.creates.Load(); n != maxRebuilds || len(results) != 0 {
			t.Errorf("%d rebuilds are at work and %d readers served, want %d and none", n, len(results), maxRebuilds)
		}
		close(gate)
		for range readers {
			must(t, <-results)
		}
		if n := r.timelines.creates.Load(); n != readers {
			t.Errorf("%d rebuilds, want one for each of %d", n, readers)
		}
	})
}
