package server

import (
	"context"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/timeline"
)

type timelineService struct {
	*Server
	feedv1.UnimplementedTimelineServiceServer
}

// sources maps a candidate's origin to what the API calls it.
var sources = [...]feedv1.Source{
	timeline.Pushed:        feedv1.Source_SOURCE_PUSHED,
	timeline.FromRebuild:   feedv1.Source_SOURCE_REBUILT,
	timeline.Own:           feedv1.Source_SOURCE_OWN,
	timeline.NewlyFollowed: feedv1.Source_SOURCE_NEWLY_FOLLOWED,
	timeline.Pulled:        feedv1.Source_SOURCE_PULLED,
	timeline.AboveTop:      feedv1.Source_SOURCE_ABOVE_TOP,
	timeline.BelowBottom:   feedv1.Source_SOURCE_BELOW_BOTTOM,
}

func (s *timelineService) GetHomeTimeline(ctx context.Context, r *feedv1.GetHomeTimelineRequest) (*feedv1.GetHomeTimelineResponse, error) {
	viewer := feed.UserID(r.GetViewerId())
	before, size, err := s.timelinePage(homeToken, "viewer_id", viewer, r)
	if err != nil {
		return nil, err
	}
	page, err := s.home.read(ctx, viewer, before, size)
	if err != nil {
		return nil, err
	}
	s.metrics.homeReads.Inc()
	out := &feedv1.GetHomeTimelineResponse{Degraded: page.degraded}
	setPosts(out, page.posts)
	if page.next > 0 {
		out.NextPageToken = s.tokens.make(homeToken, viewer, uint64(page.next))
	}
	var counts [len(sources)]int
	for _, origin := range page.origins {
		counts[origin]++
		if r.GetExplain() {
			out.Sources = append(out.Sources, sources[origin])
		}
	}
	for origin, n := range counts {
		if n > 0 {
			s.metrics.entries[origin].Add(float64(n))
		}
	}
	return out, nil
}

func (s *timelineService) GetUserTimeline(ctx context.Context, r *feedv1.GetUserTimelineRequest) (*feedv1.GetUserTimelineResponse, error) {
	author := feed.UserID(r.GetAuthorId())
	before, size, err := s.timelinePage(userToken, "author_id", author, r)
	if err != nil {
		return nil, err
	}
	posts, err := s.posts.PostsOf(ctx, author, before, size)
	if err != nil {
		return nil, err
	}
	if len(posts) == 0 && before == feed.MaxPostID {
		if err := mustExist(ctx, s.graph, author); err != nil {
			return nil, err
		}
	}
	s.metrics.userReads.Inc()
	out := &feedv1.GetUserTimelineResponse{Posts: toPosts(posts)}
	if len(posts) == size {
		out.NextPageToken = s.tokens.make(userToken, author, uint64(posts[size-1].ID))
	}
	return out, nil
}

// timelinePage checks the request of a timeline and says where its page begins.
func (s *Server) timelinePage(kind tokenKind, field string, user feed.UserID, r interface {
	GetPageSize() int32
	GetPageToken() string
},
) (before feed.PostID, size int, err error) {
	var v violations
	v.id(field, int64(user))
	size = v.pageSize(r.GetPageSize())
	next, bad := s.tokens.read(r.GetPageToken(), kind, user, uint64(feed.MaxPostID))
	v = append(v, bad...)
	return feed.PostID(next), size, v.err()
}
