package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"skein/cmd/internal/engines"
	"skein/fanout"
	"skein/fanout/eventlog"
	"skein/feed"
	feedv1 "skein/proto/feed/v1"
)

// poison appends records that nobody can decode, of these posts, to the log of a data
// directory that no server has.
func poison(t *testing.T, dir string, posts ...int64) {
	t.Helper()
	config := engines.DefaultConfig()
	config.DataDir = dir
	set, err := engines.OpenLog(t.Context(), config, engines.Options{Topics: fanout.Topics(), Clock: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, post := range posts {
		err := set.Log.Append(context.Background(), fanout.PostsTopic, eventlog.Record{Key: fanout.PostsKey(8), Value: []byte("\xff\x1b[2J"), Post: feed.PostID(post)})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
}

// F5 at a terminal: what was set aside is listed with and without a server, replayed
// by offset and all together, and off the list after a restart.
func TestDeadLetters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	server := serve(t, dir)
	s := dialAll(t, server)
	for _, id := range []int64{7, 8} {
		if _, err := s.CreateUser(withDeadline(t), &feedv1.CreateUserRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Follow(withDeadline(t), &feedv1.FollowRequest{ViewerId: 7, AuthorId: 8}); err != nil {
		t.Fatal(err)
	}
	var posts []int64
	for _, text := range []string{"one", "two", "three"} {
		post, err := s.CreatePost(withDeadline(t), &feedv1.CreatePostRequest{AuthorId: 8, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		posts = append(posts, post.GetId())
	}
	list := func(args ...string) (letters deadLetters) {
		t.Helper()
		stdout, _ := ask(t, exitOK, append([]string{"deadletters", "list", "--data-dir", dir, "--json"}, args...)...)
		if err := json.Unmarshal([]byte(stdout), &letters); err != nil {
			t.Fatalf("%v: %s", err, stdout)
		}
		return letters
	}
	restart := func() {
		server.signal(t, syscall.SIGKILL)
		server.exit(t)
		server = serve(t, dir)
	}
	if stdout, _ := ask(t, exitOK, "deadletters", "list", "--data-dir", dir); stdout != "No dead letters.\n" {
		t.Errorf("of none: %s", stdout)
	}
	server.signal(t, syscall.SIGTERM)
	server.exit(t)
	poison(t, dir, posts...)
	if stdout, _ := ask(t, exitError, "check", "--data-dir", dir); !strings.Contains(stdout, "cannot be handled: malformed event") {
		t.Errorf("a check before they are set aside: %s", stdout)
	}
	if _, stderr := ask(t, exitError, "deadletters", "replay", "--all", "--data-dir", dir); !strings.Contains(stderr, "no server runs on "+dir) {
		t.Errorf("a replay without a server: %s", stderr)
	}
	server = serve(t, dir)
	eventually(t, "all are set aside", func() bool { return list().All == 3 })
	if got := list("--limit", "1"); len(got.Letters) != 1 || got.All != 3 {
		t.Errorf("the first: %+v", got)
	}
	for i, l := range list().Letters {
		if l.Offset != int64(i) || l.Post != posts[i] || l.Author != 8 || l.Lane != "small" || !strings.Contains(l.Reason, "malformed event") || time.Since(l.Time) > time.Hour {
			t.Errorf("dead letter %d is %+v", i, l)
		}
	}
	stdout, _ := ask(t, exitOK, "deadletters", "list", "--limit", "2", "--data-dir", dir)
	if lines := strings.Split(stdout, "\n"); len(lines) != 5 || !strings.HasPrefix(lines[0], "OFFSET  TIME") || !strings.Contains(lines[3], "1 more; see --limit") {
		t.Errorf("for people: %s", stdout)
	}
	if _, stderr := ask(t, exitError, "deadletters", "replay", "1", "77", "--data-dir", dir); !strings.Contains(stderr, "nothing is set aside at offset 77") {
		t.Errorf("an offset that is not there: %s", stderr)
	}
	stdout, _ = ask(t, exitOK, "deadletters", "replay", "1", "--data-dir", dir)
	if !strings.Contains(stdout, "offset 1: post ") || !strings.Contains(stdout, " of user 8 was delivered\n") {
		t.Errorf("replayed: %s", stdout)
	}
	restart()
	if got := list(); got.All != 2 || got.Letters[0].Offset != 0 || got.Letters[1].Offset != 2 {
		t.Errorf("after a replay and a restart: %+v", got)
	}
	server.signal(t, syscall.SIGKILL)
	server.exit(t)
	if got := list(); got.All != 2 {
		t.Errorf("without a server: %+v", got)
	}
	ask(t, exitOK, "check", "--data-dir", dir)
	server = serve(t, dir)
	stdout, _ = ask(t, exitOK, "deadletters", "replay", "--all", "--data-dir", dir, "--json")
	var outcomes []deadLetter
	if err := json.Unmarshal([]byte(stdout), &outcomes); err != nil || len(outcomes) != 2 || !outcomes[0].Replayed || !outcomes[1].Replayed {
		t.Errorf("replayed: %s (%v)", stdout, err)
	}
	restart()
	if got := list(); got.All != 0 {
		t.Errorf("after all were replayed: %+v", got)
	}
	page, err := scroll(func(token string) (page, error) {
		return dialAll(t, server).GetHomeTimeline(withDeadline(t), &feedv1.GetHomeTimelineRequest{ViewerId: 7, PageToken: token})
	})
	if err != nil || len(page) != 3 {
		t.Errorf("the home timeline has %d posts (%v)", len(page), err)
	}
}
