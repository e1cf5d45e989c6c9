package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"skein/feed"
	"skein/loadgen/oracle"
	feedv1 "skein/proto/feed/v1"
)

// Names of calls in reports.
const (
	callRead     = "GetHomeTimeline"
	callPost     = "CreatePost"
	callDelete   = "DeletePost"
	callFollow   = "Follow"
	callUnfollow = "Unfollow"
)

// do makes one call under the call timeout and counts it if it fails. A call
// that fails because the run was interrupted is not counted.
func (r *run) do(ctx context.Context, name string, f func(context.Context) error) outcome {
	callCtx, cancel := context.WithTimeout(ctx, r.cfg.CallTimeout)
	defer cancel()
	err := f(callCtx)
	if err != nil && ctx.Err() == nil {
		r.recorder.failure(name, err)
	}
	return outcomeOf(err)
}

// timed is do for a call of the load: it counts the latency since due.
func (r *run) timed(ctx context.Context, name string, c call, f func(context.Context) error) outcome {
	o := r.do(ctx, name, f)
	if o == happened {
		r.recorder.latency(name, r.cfg.phase(c.due), c.due, r.now()-r.began-c.due)
	}
	return o
}

// perform makes one call of the load.
func (r *run) perform(ctx context.Context, c call) {
	switch c.act {
	case actRead:
		r.read(ctx, c)
	case actPost:
		r.post(ctx, c)
	case actDelete:
		r.remove(ctx, c)
	case actRefollow:
		r.refollow(ctx, c)
	}
}

// read reads the first page of a home timeline.
func (r *run) read(ctx context.Context, c call) {
	r.timed(ctx, callRead, c, func(ctx context.Context) error {
		_, err := r.fleet.next().timelines.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{
			ViewerId: int64(r.audience.ID(c.user)),
		})
		return err
	})
}

// post writes a post, and may begin to probe its lag.
func (r *run) post(ctx context.Context, c call) {
	lane := &r.lanes[c.user]
	lane.Lock()
	n, text, payload := r.history.PostSent(c.user)
	var id int64
	o := r.timed(ctx, callPost, c, func(ctx context.Context) error {
		p, err := r.fleet.next().posts.CreatePost(ctx, &feedv1.CreatePostRequest{
			AuthorId: int64(r.audience.ID(c.user)), Text: text, Payload: payload,
			RequestId: fmt.Sprintf("%s-%d", r.mark, n),
		})
		id = p.GetId()
		return err
	})
	at := r.now()
	switch o {
	case happened:
		r.history.PostAcked(n, feed.PostID(id), at)
	case refused:
		r.history.PostRefused(n)
	}
	lane.Unlock()
	if o == happened {
		r.hasActed(c.user)
		r.probe(ctx, c, n, feed.PostID(id), at)
	}
}

// remove deletes some post, if it can be deleted.
func (r *run) remove(ctx context.Context, c call) {
	posts := r.history.Posts()
	if posts == 0 {
		return
	}
	n := oracle.Number(c.pick % uint64(posts))
	author := r.history.Author(n)
	lane := &r.lanes[author]
	lane.Lock()
	defer lane.Unlock()
	id, ok := r.history.DeleteSent(n, r.now())
	if !ok {
		return
	}
	switch r.timed(ctx, callDelete, c, func(ctx context.Context) error {
		_, err := r.fleet.next().posts.DeletePost(ctx, &feedv1.DeletePostRequest{
			Id: int64(id), AuthorId: int64(r.audience.ID(author)),
		})
		return err
	}) {
	case happened:
		r.history.DeleteAcked(n, r.now())
		r.hasActed(author)
	case refused:
		r.history.DeleteRefused(n)
	}
}

// refollow undoes a change that the viewer made before; else the viewer ends a
// follow, or begins one.
func (r *run) refollow(ctx context.Context, c call) {
	viewer := c.user
	lane := &r.lanes[viewer]
	lane.Lock()
	defer lane.Unlock()
	edge, changed := r.history.Changed(viewer)
	following := r.audience.Following(viewer)
	switch {
	case changed:
	case c.pick%2 == 0 && len(following) > 0:
		edge = oracle.Edge{Viewer: viewer, Author: following[c.pick/2%uint64(len(following))], Follows: true}
	default:
		author := r.audience.author(rand.New(rand.NewPCG(c.pick, 0)))
		edge = oracle.Edge{Viewer: viewer, Author: author}
	}
	if r.flip(ctx, edge, func(ctx context.Context, name string, f func(context.Context) error) outcome {
		return r.timed(ctx, name, c, f)
	}) {
		r.hasActed(viewer)
	}
}

// flip follows whom the edge's viewer does not follow, and the reverse. The
// caller holds the viewer's lane.
func (r *run) flip(ctx context.Context, e oracle.Edge,
	do func(context.Context, string, func(context.Context) error) outcome,
) (ok bool) {
	follow := !e.Follows
	if !r.history.EdgeSent(e.Viewer, e.Author, follow) {
		return false
	}
	name, set := r.setFollow(e.Viewer, e.Author, follow)
	o := do(ctx, name, set)
	switch o {
	case happened:
		r.history.EdgeAcked(e.Viewer, e.Author, follow)
	case refused:
		r.history.EdgeRefused(e.Viewer, e.Author, follow)
	}
	return o == happened
}

// setFollow is the call that makes viewer follow author, or not, and its name.
func (r *run) setFollow(viewer, author uint32, follow bool) (name string, call func(context.Context) error) {
	v, a := int64(r.audience.ID(viewer)), int64(r.audience.ID(author))
	if follow {
		return callFollow, func(ctx context.Context) error {
			_, err := r.fleet.next().graph.Follow(ctx, &feedv1.FollowRequest{ViewerId: v, AuthorId: a})
			return err
		}
	}
	return callUnfollow, func(ctx context.Context) error {
		_, err := r.fleet.next().graph.Unfollow(ctx, &feedv1.UnfollowRequest{ViewerId: v, AuthorId: a})
		return err
	}
}

// hasActed asks for a scroll of the viewer soon.
func (r *run) hasActed(viewer uint32) {
	select {
	case r.acted <- viewer:
	default:
	}
}

// wait waits, and reports whether ctx let it.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
