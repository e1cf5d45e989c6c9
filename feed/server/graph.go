package server

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
	"skein/timeline"
)

type graphService struct {
	*Server
	feedv1.UnimplementedGraphServiceServer
}

// mustExist returns feed.CodeNotFound for the first user that does not exist.
func mustExist(ctx context.Context, graph storage.Users, ids ...feed.UserID) error {
	missing, err := graph.MissingUsers(ctx, ids)
	if err == nil && len(missing) > 0 {
		err = feed.NotFound("there is no user %d; create it with GraphService.CreateUser", missing[0])
	}
	return err
}

func (s *graphService) CreateUser(ctx context.Context, r *feedv1.CreateUserRequest) (*feedv1.User, error) {
	if r.GetId() < 0 {
		var v violations
		v.add("id", "is %d; give 1 to 2^63-1, or 0 to let the service choose", r.GetId())
		return nil, v.err()
	}
	user, err := s.graph.CreateUser(ctx, feed.UserID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return toUser(user), nil
}

func (s *graphService) GetUser(ctx context.Context, r *feedv1.GetUserRequest) (*feedv1.User, error) {
	var v violations
	if v.id("id", r.GetId()); len(v) > 0 {
		return nil, v.err()
	}
	users, err := s.graph.GetUsers(ctx, []feed.UserID{feed.UserID(r.GetId())})
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, feed.NotFound("there is no user %d", r.GetId())
	}
	return toUser(users[0]), nil
}

func (s *graphService) Follow(ctx context.Context, r *feedv1.FollowRequest) (*feedv1.FollowResponse, error) {
	err := s.changeEdge(ctx, r.GetViewerId(), r.GetAuthorId(), s.graph.Follow)
	return &feedv1.FollowResponse{}, err
}

func (s *graphService) Unfollow(ctx context.Context, r *feedv1.UnfollowRequest) (*feedv1.UnfollowResponse, error) {
	err := s.changeEdge(ctx, r.GetViewerId(), r.GetAuthorId(), s.graph.Unfollow)
	return &feedv1.UnfollowResponse{}, err
}

// changeEdge commits the edge and then announces it. Nothing else need happen
// between the two: a reader pulls a new author until its timeline covers them.
// An unchanged edge is announced as well: the call that changed it may have
// died before it could.
func (s *graphService) changeEdge(ctx context.Context, viewer, author int64, change func(context.Context, feed.Follow) (bool, error)) error {
	var v violations
	if v.edge("", viewer, author); len(v) > 0 {
		return v.err()
	}
	edge := feed.Follow{Viewer: feed.UserID(viewer), Author: feed.UserID(author)}
	if err := mustExist(ctx, s.graph, edge.Viewer, edge.Author); err != nil {
		return err
	}
	if _, err := change(ctx, edge); err != nil {
		return err
	}
	return s.announce(ctx, timeline.Act{Viewer: edge.Viewer})
}

func (s *graphService) ListFollowers(ctx context.Context, r *feedv1.ListFollowersRequest) (*feedv1.ListFollowersResponse, error) {
	user := feed.UserID(r.GetUserId())
	first, size, err := s.listPage(ctx, followersToken, user, r)
	if err != nil {
		return nil, err
	}
	// One more than asked tells whether there is more.
	ids, err := s.graph.ListFollowers(ctx, user, feed.HashRange{First: first, Last: feed.AllHashes.Last}, size+1, nil)
	if err != nil {
		return nil, err
	}
	out := &feedv1.ListFollowersResponse{}
	if len(ids) > size {
		out.NextPageToken = s.tokens.make(followersToken, user, ids[size].Hash())
		ids = ids[:size]
	}
	out.FollowerIds = toInt64s(ids)
	return out, nil
}

func (s *graphService) ListFollowing(ctx context.Context, r *feedv1.ListFollowingRequest) (*feedv1.ListFollowingResponse, error) {
	user := feed.UserID(r.GetUserId())
	after, size, err := s.listPage(ctx, followingToken, user, r)
	if err != nil {
		return nil, err
	}
	ids, err := s.graph.ListFollowing(ctx, user, feed.UserID(after), size+1)
	if err != nil {
		return nil, err
	}
	out := &feedv1.ListFollowingResponse{}
	if len(ids) > size {
		ids = ids[:size]
		out.NextPageToken = s.tokens.make(followingToken, user, uint64(ids[size-1]))
	}
	out.AuthorIds = toInt64s(ids)
	return out, nil
}

// listPage checks the request of a list of users and says where its page begins.
func (s *graphService) listPage(ctx context.Context, kind tokenKind, user feed.UserID, r interface {
	GetPageSize() int32
	GetPageToken() string
},
) (next uint64, size int, err error) {
	var v violations
	v.id("user_id", int64(user))
	size = v.pageSize(r.GetPageSize())
	next, bad := s.tokens.read(r.GetPageToken(), kind, user, 0)
	if v = append(v, bad...); len(v) > 0 {
		return 0, 0, v.err()
	}
	return next, size, mustExist(ctx, s.graph, user)
}

func (s *graphService) ImportFollows(stream grpc.ClientStreamingServer[feedv1.ImportFollowsRequest, feedv1.ImportFollowsResponse]) error {
	var total feedv1.ImportFollowsResponse
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&total)
		}
		if err != nil {
			return err
		}
		if err := validateImport(r); err != nil {
			return err
		}
		edges := make([]feed.Follow, len(r.GetFollows()))
		for i, f := range r.GetFollows() {
			edges[i] = feed.Follow{Viewer: feed.UserID(f.GetViewerId()), Author: feed.UserID(f.GetAuthorId())}
		}
		done, err := s.graph.ImportFollows(stream.Context(), edges)
		if err != nil {
			return err
		}
		if err := s.announceImport(stream.Context(), edges); err != nil {
			return err
		}
		total.Received += int64(len(edges))
		total.Added += done.Added
		total.UsersCreated += done.UsersCreated
	}
}

// announceImport announces each viewer of an import once.
func (s *graphService) announceImport(ctx context.Context, edges []feed.Follow) error {
	seen := make(map[feed.UserID]struct{}, len(edges)/8)
	acts := make([]timeline.Act, 0, len(edges)/8)
	for _, e := range edges {
		if _, ok := seen[e.Viewer]; !ok {
			seen[e.Viewer] = struct{}{}
			acts = append(acts, timeline.Act{Viewer: e.Viewer})
		}
	}
	return s.announce(ctx, acts...)
}

func toUser(u feed.User) *feedv1.User {
	return &feedv1.User{
		Id:             int64(u.ID),
		CreateTime:     timestamppb.New(u.CreateTime),
		FollowerCount:  u.Followers,
		FollowingCount: u.Following,
	}
}

func toInt64s(ids []feed.UserID) []int64 {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}
