package storagetest

import (
	"fmt"
	"sync"
	"testing"

	"skein/feed"
)

var requestCases = []testCase{
	{"W3_RetryGetsTheSamePost", retry},
	{"W3_OtherContentIsRefused", otherContent},
	{"W3_ConcurrentRetriesMakeOnePost", concurrentRetries},
	{"W3_RetryAfterDelete", retryAfterDelete},
	{"W3_KeysSurviveReopen", keysSurvive},
}

func retry(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	first := result(w.create(1, "a", "key"))(t)
	again := result(w.create(1, "a", "key"))(t)
	if !samePost(first, again) {
		t.Fatalf("the retry got %+v, want %+v", again, first)
	}
	// The scope is the author, and no key is no key.
	for _, other := range []feed.Post{result(w.create(2, "a", "key"))(t), result(w.create(1, "a", ""))(t), result(w.create(1, "a", ""))(t)} {
		if other.ID == first.ID {
			t.Fatalf("post %d was given twice", first.ID)
		}
	}
	if n := len(result(s.Posts.Newest(bg, everything(1), 10))(t)); n != 3 {
		t.Fatalf("author 1 has %d posts, want 3", n)
	}
}

func otherContent(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	result(w.create(1, "a", "key"))(t)
	_, err := w.create(1, "b", "key")
	wantCode(t, err, feed.CodeExists)
	if n := len(result(s.Posts.Newest(bg, everything(1), 10))(t)); n != 1 {
		t.Fatalf("author 1 has %d posts, want 1", n)
	}
}

func concurrentRetries(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	const keys, retries = 8, 16
	var mu sync.Mutex
	seen := map[string]feed.PostID{}
	must(t, together(keys*retries, func(i int) error {
		key := fmt.Sprint("key", i%keys)
		var post feed.Post
		_, err := s.insist(func() (err error) {
			post, err = w.create(1, key, key)
			return err
		})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if id, ok := seen[key]; ok && id != post.ID {
			return fmt.Errorf("%s made posts %d and %d", key, id, post.ID)
		}
		seen[key] = post.ID
		return nil
	}))
	if n := len(result(s.Posts.Newest(bg, everything(1), 1000))(t)); n != keys {
		t.Fatalf("%d posts, want %d", n, keys)
	}
}

func retryAfterDelete(t *testing.T, s Stores) {
	w := newWriter(s.Posts)
	first := result(w.create(1, "a", "key"))(t)
	must(t, s.Posts.DeletePost(bg, 1, first.ID))
	again := result(w.create(1, "a", "key"))(t)
	if !samePost(first, again) {
		t.Fatalf("the retry got %+v, want %+v", again, first)
	}
	if got := result(s.Posts.GetPosts(bg, []feed.PostID{first.ID}))(t); len(got) > 0 {
		t.Fatal("the retry brought the deleted post back")
	}
}

func keysSurvive(t *testing.T, s Stores) {
	if s.Reopen == nil {
		t.Skip("this engine has nothing to reopen")
	}
	first := result(newWriter(s.Posts).create(1, "a", "key"))(t)
	s = s.Reopen(t)
	again := result(newWriter(s.Posts).create(1, "a", "key"))(t)
	if again.ID != first.ID {
		t.Fatalf("after reopening the retry made post %d, want %d", again.ID, first.ID)
	}
}
