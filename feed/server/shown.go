package server

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"skein/feed"
	feedv1 "skein/proto/feed/v1"
)

// shownPost is a post as it is sent; nobody changes it.
type shownPost struct {
	id     feed.PostID
	author feed.UserID
	loaded time.Time // before storage was asked
	// field is the post as it stands in a page of a home timeline: a field of
	// GetHomeTimelineResponse, tag and length included.
	field []byte
}

// postsField is the number of the field that holds the posts of a page.
var postsField = (&feedv1.GetHomeTimelineResponse{}).ProtoReflect().Descriptor().Fields().ByName("posts").Number()

// toShown encodes posts that storage was asked for at loaded.
func toShown(posts []feed.Post, loaded time.Time) ([]*shownPost, error) {
	shown := make([]*shownPost, len(posts))
	m := &feedv1.Post{CreateTime: &timestamppb.Timestamp{}}
	for i, p := range posts {
		fillPost(m, p)
		size := proto.Size(m)
		field := make([]byte, 0, protowire.SizeTag(postsField)+protowire.SizeBytes(size))
		field = protowire.AppendTag(field, postsField, protowire.BytesType)
		field = protowire.AppendVarint(field, uint64(size))
		field, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(field, m)
		if err != nil {
			return nil, fmt.Errorf("encode post %d: %w", p.ID, err)
		}
		shown[i] = &shownPost{id: p.ID, author: p.Author, loaded: loaded, field: field}
	}
	return shown, nil
}

// setPosts puts posts into a reply, as they are encoded already. The reply holds them
// as fields that it does not know, which are sent as they are; so whoever decodes it
// finds them where they belong, and GetPosts here does not.
func setPosts(reply *feedv1.GetHomeTimelineResponse, posts []*shownPost) {
	size := 0
	for _, p := range posts {
		size += len(p.field)
	}
	fields := make([]byte, 0, size)
	for _, p := range posts {
		fields = append(fields, p.field...)
	}
	reply.ProtoReflect().SetUnknown(fields)
}
