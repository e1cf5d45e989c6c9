package server

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
	"skein/timeline"
)

// maxLate is how many ids a post may lose to a storage slower than
// feed.MaxIDAge before its client is told to come back.
const maxLate = 3

type postService struct {
	*Server
	feedv1.UnimplementedPostServiceServer
}

func (s *postService) CreatePost(ctx context.Context, r *feedv1.CreatePostRequest) (*feedv1.Post, error) {
	if err := validateCreatePost(r); err != nil {
		return nil, err
	}
	author := feed.UserID(r.GetAuthorId())
	if err := mustExist(ctx, s.graph, author); err != nil {
		return nil, err
	}
	draft := storage.Draft{
		Post:      feed.Post{Author: author, Text: r.GetText(), Payload: r.GetPayload()},
		RequestID: r.GetRequestId(),
	}
	post, err := s.create(ctx, draft)
	if err != nil {
		return nil, err
	}
	s.fanout.Wake()
	return toPost(post), nil
}

// create takes an id and commits the post while the id is young (W4).
func (s *Server) create(ctx context.Context, draft storage.Draft) (feed.Post, error) {
	for range maxLate {
		id, err := s.ids.Next(ctx)
		if err != nil {
			return feed.Post{}, err
		}
		draft.Post.ID = id
		post, err := s.posts.CreatePost(ctx, draft)
		if !errors.Is(err, feed.ErrLate) {
			return post, err
		}
		s.metrics.late.Inc()
	}
	return feed.Post{}, feed.Unavailable("write the post", feed.ErrLate)
}

// DeletePost commits the delete and then announces it. A post that is gone already is
// announced as well: the call that deleted it may not have come that far, and may have
// died before. An id that is still to come never was one.
func (s *postService) DeletePost(ctx context.Context, r *feedv1.DeletePostRequest) (*emptypb.Empty, error) {
	if err := validateDeletePost(r); err != nil {
		return nil, err
	}
	id := feed.PostID(r.GetId())
	err := s.posts.DeletePost(ctx, feed.UserID(r.GetAuthorId()), id)
	if err != nil && feed.CodeOf(err) != feed.CodeNotFound {
		return nil, err
	}
	if err != nil && id.Time().After(s.posts.Now().Add(feed.MaxIDAge)) {
		return nil, err
	}
	if err := s.announce(ctx, timeline.Act{Deleted: id}); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, err
}

func (s *postService) BatchGetPosts(ctx context.Context, r *feedv1.BatchGetPostsRequest) (*feedv1.BatchGetPostsResponse, error) {
	if err := validateBatchGet(r); err != nil {
		return nil, err
	}
	ids := make([]feed.PostID, len(r.GetIds()))
	for i, id := range r.GetIds() {
		ids[i] = feed.PostID(id)
	}
	posts, err := s.posts.GetPosts(ctx, ids)
	if err != nil {
		return nil, err
	}
	return &feedv1.BatchGetPostsResponse{Posts: toPosts(posts)}, nil
}

func toPost(p feed.Post) *feedv1.Post {
	m := &feedv1.Post{CreateTime: &timestamppb.Timestamp{}}
	fillPost(m, p)
	return m
}

// fillPost sets all fields of m, whose CreateTime is there.
func fillPost(m *feedv1.Post, p feed.Post) {
	created := p.ID.Time()
	m.Id, m.AuthorId, m.Text, m.Payload = int64(p.ID), int64(p.Author), p.Text, p.Payload
	m.CreateTime.Seconds, m.CreateTime.Nanos = created.Unix(), int32(created.Nanosecond())
}

func toPosts(posts []feed.Post) []*feedv1.Post {
	out := make([]*feedv1.Post, len(posts))
	for i, p := range posts {
		out[i] = toPost(p)
	}
	return out
}
