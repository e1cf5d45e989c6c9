package server_test

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	feedv1 "skein/proto/feed/v1"
)

// wantViolation checks for INVALID_ARGUMENT with a violation of a field.
func wantViolation(t *testing.T, err error, field string) {
	t.Helper()
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("got %v, want INVALID_ARGUMENT", err)
		return
	}
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				if v.GetField() == field && v.GetDescription() != "" {
					return
				}
			}
		}
	}
	t.Errorf("%v does not name the field %s: %v", err, field, status.Convert(err).Details())
}

func TestBadInput(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(2)
	id := r.post(1)
	ctx := t.Context()
	post := func(p *feedv1.CreatePostRequest) error { _, err := r.CreatePost(ctx, p); return err }

	wantViolation(t, post(&feedv1.CreatePostRequest{Text: "x"}), "author_id")
	wantViolation(t, post(&feedv1.CreatePostRequest{AuthorId: -1, Text: "x"}), "author_id")
	wantViolation(t, post(&feedv1.CreatePostRequest{AuthorId: 1}), "text")
	wantViolation(t, post(&feedv1.CreatePostRequest{AuthorId: 1, Text: strings.Repeat("x", 501)}), "text")
	wantViolation(t, post(&feedv1.CreatePostRequest{AuthorId: 1, Text: strings.Repeat("x", 1<<20)}), "text")
	wantViolation(t, post(&feedv1.CreatePostRequest{AuthorId: 1, Text: "x", Payload: make([]byte, 4097)}), "payload")
	wantViolation(t, post(&feedv1.CreatePostRequest{AuthorId: 1, Text: "x", RequestId: strings.Repeat("k", 129)}), "request_id")
	wantCode(t, post(&feedv1.CreatePostRequest{AuthorId: 99, Text: "x"}), codes.NotFound)
	// 500 characters as a person counts them: a family of four is one.
	must(r, post(&feedv1.CreatePostRequest{AuthorId: 1, Text: strings.Repeat("👨‍👩‍👧‍👦", 500)}))
	wantViolation(t, post(&feedv1.CreatePostRequest{AuthorId: 1, Text: strings.Repeat("👨‍👩‍👧‍👦", 501)}), "text")

	_, err := r.DeletePost(ctx, &feedv1.DeletePostRequest{Id: 0, AuthorId: 1})
	wantViolation(t, err, "id")
	_, err = r.DeletePost(ctx, &feedv1.DeletePostRequest{Id: 12345, AuthorId: 1})
	wantCode(t, err, codes.NotFound)
	_, err = r.DeletePost(ctx, &feedv1.DeletePostRequest{Id: id, AuthorId: 2})
	wantCode(t, err, codes.PermissionDenied)

	_, err = r.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{})
	wantViolation(t, err, "ids")
	_, err = r.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: make([]int64, 201)})
	wantViolation(t, err, "ids")
	_, err = r.BatchGetPosts(ctx, &feedv1.BatchGetPostsRequest{Ids: []int64{id, -4}})
	wantViolation(t, err, "ids[1]")

	_, err = r.CreateUser(ctx, &feedv1.CreateUserRequest{Id: -1})
	wantViolation(t, err, "id")
	_, err = r.CreateUser(ctx, &feedv1.CreateUserRequest{Id: 1})
	wantCode(t, err, codes.AlreadyExists)
	_, err = r.GetUser(ctx, &feedv1.GetUserRequest{Id: 77})
	wantCode(t, err, codes.NotFound)
	_, err = r.Follow(ctx, &feedv1.FollowRequest{ViewerId: 1, AuthorId: 1})
	wantViolation(t, err, "author_id")
	_, err = r.Follow(ctx, &feedv1.FollowRequest{ViewerId: 1, AuthorId: 99})
	wantCode(t, err, codes.NotFound)
	_, err = r.ListFollowers(ctx, &feedv1.ListFollowersRequest{UserId: 1, PageSize: -1})
	wantViolation(t, err, "page_size")
	_, err = r.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{ViewerId: 1, PageSize: -1})
	wantViolation(t, err, "page_size")
	_, err = r.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{ViewerId: 99})
	wantCode(t, err, codes.NotFound)
	_, err = r.GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: 99})
	wantCode(t, err, codes.NotFound)
}

func TestBadImports(t *testing.T) {
	r := newRig(t, rigOptions{})
	send := func(edges ...*feedv1.FollowEdge) (*feedv1.ImportFollowsResponse, error) {
		stream, err := r.ImportFollows(t.Context())
		must(r, err)
		_ = stream.Send(&feedv1.ImportFollowsRequest{Follows: edges})
		return stream.CloseAndRecv()
	}
	_, err := send()
	wantViolation(t, err, "follows")
	_, err = send(&feedv1.FollowEdge{ViewerId: 1, AuthorId: 2}, &feedv1.FollowEdge{ViewerId: 3})
	wantViolation(t, err, "follows[1].author_id")
	_, err = send(&feedv1.FollowEdge{ViewerId: 4, AuthorId: 4})
	wantViolation(t, err, "follows[0].author_id")
	done, err := send(&feedv1.FollowEdge{ViewerId: 1, AuthorId: 2}, &feedv1.FollowEdge{ViewerId: 1, AuthorId: 2})
	must(r, err)
	if done.GetReceived() != 2 || done.GetAdded() != 1 || done.GetUsersCreated() != 2 {
		t.Errorf("following twice in an import: %v", done)
	}
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Name() string                    { return "proto" }
func (raw) Marshal(v any) ([]byte, error)   { return v.([]byte), nil }
func (raw) Unmarshal(_ []byte, _ any) error { return nil }
func (raw) codec() grpc.CallOption          { return grpc.ForceCodec(raw{}) }

var _ encoding.Codec = raw{}

// What no generated client would send: a text that is not UTF-8, and garbage.
func TestMalformedMessages(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.users(1)
	call := func(method string, message []byte) error {
		return r.conn.Invoke(t.Context(), "/feed.v1."+method, message, &struct{}{}, raw{}.codec())
	}
	wantViolation(t, call("PostService/CreatePost", []byte("\x08\x01\x12\x02\xff\xfe")), "text")
	wantViolation(t, call("TimelineService/GetHomeTimeline", []byte("\x08\x01\x1a\x02\xff\xfe")), "page_token")
	wantCode(t, call("PostService/CreatePost", []byte("\xff\xff\xff")), codes.InvalidArgument)
	wantCode(t, call("GraphService/ImportFollows", []byte("\xff\xff\xff")), codes.InvalidArgument)
}
