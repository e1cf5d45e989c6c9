package fanout

import (
	"errors"
	"slices"
	"testing"
	"unicode/utf8"

	"skein/fanout/eventlog"
	"skein/feed"
	eventv1 "skein/proto/event/v1"
	"skein/storage"
)

// seeds adds the values of records, whole and damaged.
func seeds(f *testing.F, records ...eventlog.Record) {
	for _, r := range records {
		for _, value := range [][]byte{r.Value, r.Value[:len(r.Value)/2], append(slices.Clone(r.Value), 0x08), slices.Concat(r.Value, r.Value)} {
			f.Add(value)
		}
	}
	f.Add([]byte(nil))
	f.Add([]byte("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x01")) // post -1
	f.Add([]byte("\xff\xff\xff"))
}

var event = storage.Event{Post: 1<<62 + 5, Author: 1<<63 - 1}

// malformed checks the error of an event that cannot be read: it is one that the
// workers set aside, never one that they try again for ever.
func malformed(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, errMalformed) || retryable(err) {
		t.Errorf("the error is %v, want one that sets the record aside", err)
	}
}

// F5: an event is read as what was written, or refused.
func FuzzDecodeCreated(f *testing.F) {
	f.Add([]byte("\x08\x05\x10\x07")) // by hand: an encoder that forgets a field would forget it in its seeds
	seeds(f, createdRecord(event, 1), createdRecord(storage.Event{Post: 1, Author: 1}, 1))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := decodeCreated(eventlog.Record{Value: value})
		if err != nil {
			malformed(t, err)
			return
		}
		if !e.Post.Valid() || !e.Author.Valid() {
			t.Fatalf("%+v passed", e)
		}
		r := createdRecord(e, 7)
		if again, err := decodeCreated(r); err != nil || again != e || r.Post != e.Post {
			t.Errorf("%+v is written as %+v (%v)", e, again, err)
		}
	})
}

func FuzzDecodeChunk(f *testing.F) {
	f.Add([]byte("\x08\x05\x10\x07\x19abcdefgh\x21ijklmnop"))
	for _, r := range feed.Split(3) {
		seeds(f, chunkRecord(chunk{Event: event, hashes: r}))
	}
	f.Add(chunkRecord(chunk{Event: event, hashes: feed.HashRange{First: 2, Last: 1}}).Value)
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := decodeChunk(eventlog.Record{Value: value})
		if err != nil {
			malformed(t, err)
			return
		}
		if !c.Post.Valid() || !c.Author.Valid() || c.hashes.First > c.hashes.Last {
			t.Fatalf("%+v passed", c)
		}
		r := chunkRecord(c)
		if again, err := decodeChunk(r); err != nil || again != c || r.Post != c.Post {
			t.Errorf("%+v is written as %+v (%v)", c, again, err)
		}
	})
}

func FuzzDecodeParked(f *testing.F) {
	f.Add([]byte("\x08\x05\x10\x03\x1a\x02\x01\x02"))
	seeds(f,
		parkedRecord(parked{post: 5, shard: 3, viewers: []feed.UserID{1, 1<<63 - 1}}),
		parkedRecord(parked{post: 5}), parkedRecord(parked{post: 5, viewers: []feed.UserID{0}}))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := decodeParked(eventlog.Record{Value: value})
		if err != nil {
			malformed(t, err)
			return
		}
		if !p.post.Valid() || slices.ContainsFunc(p.viewers, func(v feed.UserID) bool { return !v.Valid() }) {
			t.Fatalf("%+v passed", p)
		}
		r := parkedRecord(p)
		again, err := decodeParked(r)
		if err != nil || again.post != p.post || again.shard != p.shard || !slices.Equal(again.viewers, p.viewers) || r.Post != p.post {
			t.Errorf("%+v is written as %+v (%v)", p, again, err)
		}
	})
}

// Whatever a record held that could not be handled, it is kept as it was, with
// the reason; and what was not written by us is no post to pull.
func FuzzDecodeSetAside(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "panic: \xff", int64(5), int64(7))
	f.Add([]byte(nil), createdRecord(event, 1).Value, "", int64(0), int64(0))
	f.Add([]byte("\xff"), asideRecord(topicPosts, eventlog.Record{Post: 5}, 7, errMalformed).Value, "again", int64(5), int64(7))
	f.Fuzz(func(t *testing.T, key, value []byte, reason string, post, author int64) {
		failed := eventlog.Record{Key: key, Value: value, Post: feed.PostID(post)}
		r := asideRecord(topicLarge, failed, feed.UserID(author), errors.New(reason))
		var m eventv1.SetAside
		if err := decode(r.Value, &m); err != nil {
			t.Fatal(err)
		}
		if m.GetTopic() != topicLarge || string(m.GetKey()) != string(key) || string(m.GetValue()) != string(value) ||
			m.GetPostId() != post || m.GetAuthorId() != author || r.Post != failed.Post || utf8.ValidString(reason) && m.GetReason() != reason {
			t.Errorf("%+v of author %d is set aside as %v", failed, author, &m)
		}
		// The value by itself is somebody else's record.
		for _, r := range []eventlog.Record{r, failed} {
			list := asideList{rest: feed.MaxPostID}
			list.add(r)
			err := decode(r.Value, &m)
			if err != nil {
				malformed(t, err)
			}
			listed := len(list.refs) == 1 && list.refs[0].Ref == feed.Ref{Post: r.Post, Author: feed.UserID(m.GetAuthorId())}
			if want := err == nil && m.GetAuthorId() != 0; listed != want || !want && len(list.refs) > 0 {
				t.Errorf("%+v is listed as %v", r, list.refs)
			}
		}
	})
}
