package server

import (
	"bytes"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
)

// A token is read only by what it was made for, and no other text is one.
func FuzzToken(f *testing.F) {
	ours := tokens{key: bytes.Repeat([]byte{7}, 32)}
	good := ours.make(homeToken, 1, 99)
	for _, token := range []string{
		"", good, good[:len(good)-1], good + "A", "!" + good[1:], good[:10] + "\n" + good[10:], good + "=",
		ours.make(userToken, 1, 99), ours.make(homeToken, 2, 99),
		tokens{key: make([]byte, 32)}.make(homeToken, 1, 99), "AAAA", "\xff",
	} {
		f.Add(token, byte(homeToken), int64(1), uint64(99))
	}
	f.Add(good, byte(followersToken), int64(-1), uint64(1<<63))
	f.Fuzz(func(t *testing.T, text string, kindByte byte, userID int64, next uint64) {
		kind, user := tokenKind(kindByte), feed.UserID(userID)
		if got, bad := ours.read(text, kind, user, next); len(bad) == 0 && text != "" && text != ours.make(kind, user, got) {
			t.Errorf("%q is read as %d, and was never made", text, got)
		} else if len(bad) > 0 && (bad[0].Field != "page_token" || bad[0].Description == "") {
			t.Errorf("%q is refused with %v", text, bad)
		}
		made := ours.make(kind, user, next)
		if got, bad := ours.read(made, kind, user, 0); len(bad) > 0 || got != next {
			t.Errorf("the token of %d is read as %d (%v)", next, got, bad)
		}
		for _, foreign := range []func() (uint64, []feed.Violation){
			func() (uint64, []feed.Violation) { return ours.read(made, kind+1, user, 0) },
			func() (uint64, []feed.Violation) { return ours.read(made, kind, user+1, 0) },
			func() (uint64, []feed.Violation) { return tokens{key: []byte("another")}.read(made, kind, user, 0) },
		} {
			if got, bad := foreign(); len(bad) == 0 {
				t.Errorf("a token of another list is read as %d", got)
			}
		}
	})
}

// The codec refuses exactly what is no message, by an error that a client can
// read, and lets nothing of a client's pass for its own mark.
func FuzzCodec(f *testing.F) {
	good, err := proto.Marshal(&feedv1.CreatePostRequest{AuthorId: 1, Text: "honk"})
	if err != nil {
		f.Fatal(err)
	}
	mark := protowire.AppendString(protowire.AppendTag(nil, markField, protowire.BytesType), "text\xff")
	for _, data := range [][]byte{
		nil, good, good[:len(good)-1], mark, append(good, mark...), []byte("\x12\x02\xff\xfe"), []byte("\x0b\x0b\x0b"),
		[]byte("\x12\xff\xff\xff\xff\x0f"), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), []byte("\x0a\x04\x08\x01\x10\x02"),
	} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range []proto.Message{
			&feedv1.CreatePostRequest{}, &feedv1.BatchGetPostsRequest{}, &feedv1.ImportFollowsRequest{}, &feedv1.GetHomeTimelineRequest{},
		} {
			want := proto.Unmarshal(data, proto.Clone(m))
			if err := Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, m); err != nil {
				t.Fatalf("%T: gRPC would answer Internal: %v", m, err)
			}
			got := decoded(m)
			if (got == nil) != (want == nil) {
				t.Errorf("%T: %v, want %v", m, got, want)
			}
			if got == nil {
				continue
			}
			if status.Code(got) != codes.InvalidArgument {
				t.Errorf("%T: %v, want INVALID_ARGUMENT", m, got)
			}
			for _, detail := range status.Convert(got).Details() {
				field := detail.(*errdetails.BadRequest).GetFieldViolations()[0].GetField()
				if m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(field)) == nil {
					t.Errorf("%T has no field %q", m, field)
				}
			}
		}
	})
}
