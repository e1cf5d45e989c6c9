package fanout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"skein/fanout/eventlog"
	"skein/feed"
	eventv1 "skein/proto/event/v1"
	"skein/storage"
)

// This file alone knows how events are written in the log. A decoder checks all
// that its callers rely on: what it returns can be handled.

var errMalformed = errors.New("malformed event")

func encode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		// Our own messages hold no strings that could be invalid.
		panic(fmt.Sprintf("fanout: cannot encode %T: %v", m, err))
	}
	return b
}

func decode(value []byte, m proto.Message) error {
	if err := proto.Unmarshal(value, m); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

// userKey keys records by user: those of one land in one partition.
func userKey(u feed.UserID) []byte { return binary.BigEndian.AppendUint64(nil, uint64(u)) }

// createdRecord is the event of a new post.
func createdRecord(e storage.Event, low feed.PostID) eventlog.Record {
	return eventlog.Record{
		Key:   userKey(e.Author),
		Value: encode(&eventv1.PostCreated{PostId: int64(e.Post), AuthorId: int64(e.Author)}),
		Post:  e.Post,
		Low:   low,
	}
}

func decodeCreated(r eventlog.Record) (storage.Event, error) {
	var m eventv1.PostCreated
	if err := decode(r.Value, &m); err != nil {
		return storage.Event{}, err
	}
	e := storage.Event{Post: feed.PostID(m.GetPostId()), Author: feed.UserID(m.GetAuthorId())}
	if !e.Post.Valid() || !e.Author.Valid() {
		return storage.Event{}, fmt.Errorf("%w: post %d of author %d", errMalformed, e.Post, e.Author)
	}
	return e, nil
}

// chunk is a range of one post's followers.
type chunk struct {
	storage.Event
	hashes feed.HashRange
}

// chunkRecord is keyed by post and chunk, so that the chunks of one post spread
// over all workers.
func chunkRecord(c chunk) eventlog.Record {
	key := binary.BigEndian.AppendUint64(nil, uint64(c.Post))
	return eventlog.Record{
		Key: binary.BigEndian.AppendUint64(key, c.hashes.First),
		Value: encode(&eventv1.Chunk{
			PostId: int64(c.Post), AuthorId: int64(c.Author),
			FirstHash: c.hashes.First, LastHash: c.hashes.Last,
		}),
		Post: c.Post,
	}
}

func decodeChunk(r eventlog.Record) (chunk, error) {
	var m eventv1.Chunk
	if err := decode(r.Value, &m); err != nil {
		return chunk{}, err
	}
	c := chunk{
		Event:  storage.Event{Post: feed.PostID(m.GetPostId()), Author: feed.UserID(m.GetAuthorId())},
		hashes: feed.HashRange{First: m.GetFirstHash(), Last: m.GetLastHash()},
	}
	if !c.Post.Valid() || !c.Author.Valid() || c.hashes.First > c.hashes.Last {
		return chunk{}, fmt.Errorf("%w: chunk %x-%x of post %d of author %d",
			errMalformed, c.hashes.First, c.hashes.Last, c.Post, c.Author)
	}
	return c, nil
}

// parked is a delivery that waits for its shard.
type parked struct {
	post    feed.PostID
	shard   int
	viewers []feed.UserID
}

// shardKey keys what is parked by shard, so that the oldest record of a partition
// tells the top of its shards.
func shardKey(shard int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(shard)) }

func parkedRecord(p parked) eventlog.Record {
	m := &eventv1.Parked{PostId: int64(p.post), Shard: int32(p.shard), ViewerIds: make([]int64, len(p.viewers))}
	for i, v := range p.viewers {
		m.ViewerIds[i] = int64(v)
	}
	return eventlog.Record{Key: shardKey(p.shard), Value: encode(m), Post: p.post}
}

func decodeParked(r eventlog.Record) (parked, error) {
	var m eventv1.Parked
	if err := decode(r.Value, &m); err != nil {
		return parked{}, err
	}
	p := parked{post: feed.PostID(m.GetPostId()), shard: int(m.GetShard()), viewers: make([]feed.UserID, len(m.GetViewerIds()))}
	for i, v := range m.GetViewerIds() {
		p.viewers[i] = feed.UserID(v)
		if !p.viewers[i].Valid() {
			return parked{}, fmt.Errorf("%w: viewer %d", errMalformed, v)
		}
	}
	if !p.post.Valid() {
		return parked{}, fmt.Errorf("%w: post %d", errMalformed, p.post)
	}
	return p, nil
}

// maxAsidePart bounds the parts of what is set aside, in bytes. A record may be as large
// as its topic takes; with its reason it would be too large for the topic of what is set
// aside, and stop its partition for good (F5).
const maxAsidePart = 4 << 10

// asideRecord is a record that could not be handled, with what is needed to pull
// its post and to replay it, and as much of the record as helps to find out why.
func asideRecord(topic string, r eventlog.Record, author feed.UserID, reason error) eventlog.Record {
	text, key, value := reason.Error(), r.Key[:min(len(r.Key), maxAsidePart)], r.Value[:min(len(r.Value), maxAsidePart)]
	return eventlog.Record{
		Key: key,
		Value: encode(&eventv1.SetAside{
			Topic: topic, Key: key, Value: value,
			Reason: strings.ToValidUTF8(text[:min(len(text), maxAsidePart)], "?"),
			PostId: int64(r.Post), AuthorId: int64(author),
		}),
		Post: r.Post,
	}
}

// PostsTopic is the topic in which every post comes into the log.
const PostsTopic = topicPosts

// PostsKey is the key under which the posts of an author stand in PostsTopic.
func PostsKey(author feed.UserID) []byte { return userKey(author) }

// CheckRecord says why a record of one of Topics can never be handled, or nil.
func CheckRecord(topic string, r eventlog.Record) (err error) {
	switch topic {
	case topicPosts:
		_, err = decodeCreated(r)
	case topicLarge, topicBulk:
		_, err = decodeChunk(r)
	case topicParked:
		_, err = decodeParked(r)
	case topicAside:
		err = decode(r.Value, &eventv1.SetAside{})
	}
	return err
}
