package rows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"skein/cmd/bench/report"
	"skein/feed"
	"skein/feed/policy"
	feedv1 "skein/proto/feed/v1"
	"skein/timeline"
)

// million is how long one post takes to all of an author's many followers.
type million struct {
	on        on
	followers int
	entries   int // in each timeline beforehand
	target    float64
}

func (r million) Names() []string { return []string{r.name()} }

func (r million) name() string { return "million_" + r.on.timelines() }

const celebrity feed.UserID = 1

func (r million) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("%s: making %s followers and timelines", r.name(), report.Count(r.followers))
	s, err := b.open(ctx, r.on, policy.Push)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.haveFans(ctx, r.followers, r.entries); err != nil {
		return nil, err
	}
	service, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, service.close()) }()
	value, _, err := b.alternate(ctx, r.name(), func() (float64, error) {
		// What is left of the last post are its commits.
		if err := service.settle(ctx); err != nil {
			return 0, err
		}
		return r.round(ctx, s, service)
	}, nil)
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: r.name(), Value: value, Unit: "s", Better: report.Lower, Target: new(r.target),
		Setup: report.Setup{
			Users: r.followers + 1, LiveTimelines: r.followers, PostBytes: len(text),
			How: fmt.Sprintf("one post of one author over gRPC, policy push, from its acknowledgement to the last readable entry; "+
				"%d entries in each timeline beforehand", r.entries),
			LeftOut: "other posts and reads meanwhile; timelines at their cap",
		}.String(),
	}}, nil
}

// haveFans makes users follow the celebrity, and nobody else, from live timelines.
func (s *stores) haveFans(ctx context.Context, fans, entries int) error {
	err := s.follow(ctx, func(yield func(feed.Follow) bool) {
		for i := range fans {
			if !yield(feed.Follow{Viewer: celebrity + 1 + feed.UserID(i), Author: celebrity}) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if len(s.on) > 0 {
		_, err := s.copyLive(ctx, celebrity+1, celebrity+feed.UserID(fans), entries)
		return err
	}
	return s.makeLive(ctx, celebrity+1, celebrity+feed.UserID(fans), entries)
}

// round writes one post, and returns how many seconds it took from its
// acknowledgement to the last follower.
func (r million) round(ctx context.Context, s *stores, service *service) (float64, error) {
	reached := s.delivered.expect(int64(r.followers))
	post, err := feedv1.NewPostServiceClient(service.conn(0)).CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: int64(celebrity), Text: text})
	acknowledged := time.Now()
	if err != nil {
		return 0, err
	}
	end, err := await(ctx, reached)
	if err != nil {
		return 0, err
	}
	// Few followers may have it before its author hears that it is there.
	return max(end.Sub(acknowledged), 0).Seconds(), r.verify(ctx, s, feed.PostID(post.GetId()))
}

// verify finds the post in the timelines.
func (r million) verify(ctx context.Context, s *stores, post feed.PostID) error {
	if n := s.delivered.appended(); n != int64(r.followers) {
		return fmt.Errorf("post %d reached %d timelines, not %d", post, n, r.followers)
	}
	for n := range verified {
		viewer := celebrity + 1 + feed.UserID(n*r.followers/verified)
		page, err := s.Timelines.Read(ctx, timeline.Query{Viewer: viewer, Before: feed.MaxPostID, Life: s.life, Limit: 1})
		if err != nil {
			return err
		}
		if len(page.Entries) != 1 || page.Entries[0].ID() != post {
			return fmt.Errorf("the timeline of user %d lacks post %d after it was delivered", viewer, post)
		}
	}
	return nil
}
