package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	feedv1 "skein/proto/feed/v1"
)

// fake is the feed API by brute force: every page walks over every post. It is
// correct, except where a test breaks it.
type fake struct {
	feedv1.UnimplementedPostServiceServer
	feedv1.UnimplementedGraphServiceServer
	feedv1.UnimplementedTimelineServiceServer

	// Ways to break it; nil does not. fault answers a call instead of the
	// fake; with after, the call happens all the same.
	fault func(request any) (err error, after bool)
	// hide keeps a post of another author from a viewer's page.
	hide func(viewer int64, p stored) bool
	// page alters a page that was cut.
	page func(r *feedv1.GetHomeTimelineRequest, answer *feedv1.GetHomeTimelineResponse)
	// keepDeleted shows deleted posts, keepUnfollowed those of authors whom
	// the viewer does not follow any more.
	keepDeleted, keepUnfollowed bool
	// busy is how many imports are refused before one is let in.
	busy atomic.Int64
	// away is how many then find an engine unavailable.
	away atomic.Int64

	mu struct {
		sync.Mutex
		users   map[int64]bool
		follows map[[2]int64]bool // viewer, author; false: unfollowed
		posts   []stored          // by rising id
	}
}

type stored struct {
	*feedv1.Post
	at      time.Time
	deleted bool
}

// serve starts f on a port of its own and returns the address.
func (f *fake) serve(t *testing.T) string {
	t.Helper()
	f.mu.users, f.mu.follows = map[int64]bool{}, map[[2]int64]bool{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(f.intercept))
	feedv1.RegisterPostServiceServer(s, f)
	feedv1.RegisterGraphServiceServer(s, f)
	feedv1.RegisterTimelineServiceServer(s, f)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func (f *fake) intercept(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if f.fault != nil {
		if err, after := f.fault(request); err != nil {
			if after {
				_, _ = handle(ctx, request)
			}
			return nil, err
		}
	}
	return handle(ctx, request)
}

func (f *fake) CreatePost(_ context.Context, r *feedv1.CreatePostRequest) (*feedv1.Post, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &feedv1.Post{Id: int64(len(f.mu.posts)) + 1000, AuthorId: r.AuthorId, Text: r.Text, Payload: r.Payload}
	f.mu.posts = append(f.mu.posts, stored{Post: p, at: time.Now()})
	return p, nil
}

func (f *fake) DeletePost(_ context.Context, r *feedv1.DeletePostRequest) (*emptypb.Empty, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &f.mu.posts[r.Id-1000]
	if p.AuthorId != r.AuthorId {
		return nil, status.Error(codes.PermissionDenied, "not yours")
	}
	p.deleted = true
	return &emptypb.Empty{}, nil
}

func (f *fake) GetUser(_ context.Context, r *feedv1.GetUserRequest) (*feedv1.User, error) {
	return nil, status.Error(codes.NotFound, "no such user")
}

func (f *fake) CreateUser(_ context.Context, r *feedv1.CreateUserRequest) (*feedv1.User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.users[r.Id] = true
	return &feedv1.User{Id: r.Id}, nil
}

// edge sets an edge, but not for a call that its client has given up: that would come
// after what the client did next.
func (f *fake) edge(ctx context.Context, viewer, author int64, follows bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	f.mu.users[viewer], f.mu.users[author] = true, true
	f.mu.follows[[2]int64{viewer, author}] = follows
	return nil
}

func (f *fake) Follow(ctx context.Context, r *feedv1.FollowRequest) (*feedv1.FollowResponse, error) {
	return &feedv1.FollowResponse{}, f.edge(ctx, r.ViewerId, r.AuthorId, true)
}

func (f *fake) Unfollow(ctx context.Context, r *feedv1.UnfollowRequest) (*feedv1.UnfollowResponse, error) {
	return &feedv1.UnfollowResponse{}, f.edge(ctx, r.ViewerId, r.AuthorId, false)
}

// following returns a copy of the edges that are followed.
func (f *fake) following() map[[2]int64]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := maps.Clone(f.mu.follows)
	maps.DeleteFunc(all, func(_ [2]int64, follows bool) bool { return !follows })
	return all
}

// ListFollowing has pages of three, by rising id.
func (f *fake) ListFollowing(_ context.Context, r *feedv1.ListFollowingRequest) (*feedv1.ListFollowingResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	above, _ := strconv.ParseInt(r.PageToken, 10, 64)
	answer := &feedv1.ListFollowingResponse{}
	for edge, follows := range f.mu.follows {
		if edge[0] == r.UserId && edge[1] > above && follows {
			answer.AuthorIds = append(answer.AuthorIds, edge[1])
		}
	}
	slices.Sort(answer.AuthorIds)
	if len(answer.AuthorIds) > 3 {
		answer.AuthorIds = answer.AuthorIds[:3]
		answer.NextPageToken = strconv.FormatInt(answer.AuthorIds[2], 10)
	}
	return answer, nil
}

func (f *fake) ImportFollows(stream grpc.ClientStreamingServer[feedv1.ImportFollowsRequest, feedv1.ImportFollowsResponse]) error {
	if f.busy.Add(-1) >= 0 {
		return status.Error(codes.ResourceExhausted, "too many streams")
	}
	if f.away.Add(-1) >= 0 {
		return status.Error(codes.Unavailable, "cannot import follows now; try again")
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&feedv1.ImportFollowsResponse{})
		}
		if err != nil {
			return err
		}
		if n := len(r.Follows); n < 1 || n > 10_000 {
			return status.Errorf(codes.InvalidArgument, "%d follows", n)
		}
		for _, e := range r.Follows {
			if err := f.edge(stream.Context(), e.ViewerId, e.AuthorId, true); err != nil {
				return err
			}
		}
	}
}

// sees reports whether a viewer's timeline shows a post. The caller holds mu.
func (f *fake) sees(viewer int64, p stored) bool {
	if p.deleted && !f.keepDeleted {
		return false
	}
	if p.AuthorId == viewer {
		return true
	}
	follows, ever := f.mu.follows[[2]int64{viewer, p.AuthorId}]
	return (follows || ever && f.keepUnfollowed) && (f.hide == nil || !f.hide(viewer, p))
}

func (f *fake) GetHomeTimeline(_ context.Context, r *feedv1.GetHomeTimelineRequest) (*feedv1.GetHomeTimelineResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.users[r.ViewerId] {
		return nil, status.Error(codes.NotFound, "no such user")
	}
	size, below := int(r.PageSize), int64(1<<62)
	if size == 0 {
		size = 50
	}
	if r.PageToken != "" {
		viewer, id, _ := strings.Cut(r.PageToken, "/")
		if viewer != strconv.FormatInt(r.ViewerId, 10) {
			return nil, status.Error(codes.InvalidArgument, "a foreign token")
		}
		below, _ = strconv.ParseInt(id, 10, 64)
	}
	answer := &feedv1.GetHomeTimelineResponse{}
	for _, p := range slices.Backward(f.mu.posts) {
		if p.Id >= below || !f.sees(r.ViewerId, p) {
			continue
		}
		if len(answer.Posts) == size {
			answer.NextPageToken = fmt.Sprintf("%d/%d", r.ViewerId, answer.Posts[size-1].Id)
			break
		}
		source := feedv1.Source_SOURCE_PUSHED
		if p.AuthorId == r.ViewerId {
			source = feedv1.Source_SOURCE_OWN
		}
		answer.Posts, answer.Sources = append(answer.Posts, p.Post), append(answer.Sources, source)
	}
	if f.page != nil {
		f.page(r, answer)
	}
	return answer, nil
}
