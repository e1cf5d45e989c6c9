package embedded

import (
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"skein/feed"
)

// A store that a newer program wrote is refused, in words.
func TestOpen_NewerFormat(t *testing.T) {
	opts := Options{FS: vfs.NewMem(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	s, err := Open("store", opts)
	if err != nil {
		t.Fatal(err)
	}
	b := s.batch()
	b.set(keyFormat, encodeNumbers(format+1))
	if err := s.commit(b, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = Open("store", opts); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Fatalf("error %v, want one that asks for a newer program", err)
	}
}

// Rows that nobody wrote are errors, never panics.
func TestDecoders_AnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "key")
		value := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "value")
		if _, err := decodePost(key, value); err != nil && feed.CodeOf(err) != feed.CodeInternal {
			t.Fatal(err)
		}
		_, _, _ = decodeHistory(key, value)
		_, _ = decodeSharedHead(key, value)
		_, _ = numbers(key, value, 3)
	})
}

func TestPost_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := feed.Post{
			ID:      feed.PostID(rapid.Int64Min(1).Draw(t, "id")),
			Author:  feed.UserID(rapid.Int64Min(1).Draw(t, "author")),
			Text:    rapid.String().Draw(t, "text"),
			Payload: rapid.SliceOf(rapid.Byte()).Draw(t, "payload"),
		}
		got, err := decodePost(postKey(want.ID), encodePost(want))
		if err != nil || got.ID != want.ID || got.Author != want.Author || got.Text != want.Text || string(got.Payload) != string(want.Payload) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}
