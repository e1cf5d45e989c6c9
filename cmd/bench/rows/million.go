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
	followers int
	entries   int // in each timeline beforehand
}

func (million) Names() []string { return []string{"million_memory"} }

const celebrity feed.UserID = 1

func (r million) Measure(ctx context.Context, b *Bench) (rows []report.Row, err error) {
	b.say("million_memory: making %s followers and timelines", report.Count(r.followers))
	s, err := b.open(ctx, policy.Push)
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
	value, _, err := b.alternate(ctx, "million_memory", func() (float64, error) { return r.round(ctx, s, service) }, nil)
	if err != nil {
		return nil, err
	}
	return []report.Row{{
		Name: "million_memory", Value: value, Unit: "s", Better: report.Lower, Target: 1,
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
	return s.makeLive(ctx, celebrity+1, celebrity+feed.UserID(fans), entries)
}

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
	if n := s.delivered.appended(); n != int64(r.followers) {
		return 0, fmt.Errorf("the post reached %d timelines, not %d", n, r.followers)
	}
	id := feed.PostID(post.GetId())
	for n := range verified {
		viewer := celebrity + 1 + feed.UserID(n*r.followers/verified)
		page, err := s.Timelines.Read(ctx, timeline.Query{Viewer: viewer, Before: feed.MaxPostID, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(page.Entries) != 1 || page.Entries[0].ID() != id {
			return 0, fmt.Errorf("the timeline of user %d lacks post %d after it was delivered", viewer, id)
		}
	}
	return end.Sub(acknowledged).Seconds(), service.settle(ctx, id)
}
