package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"skein/cmd/internal/engines"
	"skein/feed"
	"skein/storage"
)

// --explain names the way of each post, and sums up: pushed by a worker, and
// the viewer's own.
func TestExplain(t *testing.T) {
	target := startApp(t, asItIs, intact).Addresses().GRPC
	do := func(args ...string) string {
		code, stdout, stderr := typed(target, "", args...)
		if code != exitOK {
			t.Fatalf("skein %v: exit %d, %s", args, code, stderr)
		}
		return stdout
	}
	do("user", "create", "1")
	do("user", "create", "2")
	do("follow", "1", "2")
	do("home", "1") // makes the stored timeline, so that what follows is pushed
	do("post", "2", "honk")
	do("post", "1", "own words")
	var page string
	eventually(t, "a delivered post", func() bool {
		page = do("home", "1", "--explain")
		return strings.Contains(page, "  pushed  honk\n")
	})
	for _, want := range []string{
		"  own     own words\n",
		"\nHow this was made:\n    1  pushed            a worker wrote it",
		"\n    1  own               the viewer wrote it\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

// What people write cannot move the cursor, change colors, turn the direction of
// a line, or break the table; JSON gets it as it is.
func TestTextsCannotHarmATerminal(t *testing.T) {
	target := startApp(t, asItIs, intact).Addresses().GRPC
	const text = "one\ntwo\tthree\x1b[31mred\a\u202etxet\u009b0m 🦢"
	if code, _, stderr := typed(target, "", "user", "create", "1"); code != exitOK {
		t.Fatal(stderr)
	}
	if code, _, stderr := typed(target, text+"\n", "post", "1", "-"); code != exitOK {
		t.Fatal(stderr)
	}
	_, page, _ := typed(target, "", "home", "1")
	if want := "one two three\ufffd[31mred\ufffd\ufffdtxet\ufffd0m 🦢\n"; !strings.HasSuffix(page, "  "+want) {
		t.Errorf("shown as %q, want %q", page, want)
	}
	_, page, _ = typed(target, "", "home", "1", "--json")
	if want := `one\ntwo\tthree\u001b[31mred\u0007`; !strings.Contains(page, want) {
		t.Errorf("in JSON as %s, want %s", page, want)
	}
	if code, _, stderr := typed(target, "\xff\n", "post", "1", "-"); code != exitError || !strings.Contains(stderr, "not valid UTF-8") {
		t.Errorf("a text that is none: exit %d, %s", code, stderr)
	}
}

// mute is a store that writes posts and does not answer, while it is on.
type mute struct {
	storage.Posts
	on atomic.Bool
}

func (m *mute) CreatePost(ctx context.Context, draft storage.Draft) (feed.Post, error) {
	post, err := m.Posts.CreatePost(ctx, draft)
	if m.on.Load() {
		<-ctx.Done()
		return feed.Post{}, ctx.Err()
	}
	return post, err
}

// W3 at a terminal: an answer that was lost names the request id with which the
// same command is the same post.
func TestLostAnswer(t *testing.T) {
	posts := &mute{}
	target := startApp(t, asItIs, func(s *engines.Set) { posts.Posts, s.Posts = s.Posts, posts }).Addresses().GRPC
	if code, _, stderr := typed(target, "", "user", "create", "1"); code != exitOK {
		t.Fatal(stderr)
	}
	posts.on.Store(true)
	code, _, stderr := typed(target, "", "post", "1", "honk", "--timeout", "500ms")
	found := regexp.MustCompile(`did not answer within 500ms\n(?s:.*)Repeat it with (--request-id \S+), and it is one post`).FindStringSubmatch(stderr)
	if code != exitError || found == nil {
		t.Fatalf("no answer: exit %d, %s", code, stderr)
	}
	posts.on.Store(false)
	if code, _, stderr := typed(target, "", append([]string{"post", "1", "honk"}, strings.Fields(found[1])...)...); code != exitOK {
		t.Fatal(stderr)
	}
	if _, page, _ := typed(target, "", "user", "1"); strings.Count(page, "honk") != 1 {
		t.Errorf("the repeated post is there not once:\n%s", page)
	}
}

// What a server that is killed, hangs, or is none looks like from a terminal.
func TestBrokenConnections(t *testing.T) {
	t.Run("killed in the middle of a post", func(t *testing.T) {
		// The real server, which is reached through a way that can be cut.
		app := startApp(t, asItIs, intact)
		if code, _, stderr := typed(app.Addresses().GRPC, "", "user", "create", "1"); code != exitOK {
			t.Fatal(stderr)
		}
		target := cutOff(t, app.Addresses().GRPC, "honk")
		code, _, stderr := typed(target, "", "post", "1", "honk")
		want := "skein: the connection to " + target + " broke before the answer came\n  See whether the server still runs.\n" +
			"  It may have been posted. Repeat it with --request-id "
		if code != exitError || !strings.HasPrefix(stderr, want) {
			t.Errorf("exit %d, %s; want %s", code, stderr, want)
		}
	})
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"hangs":  {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "%s accepts connections, but does not answer within 500ms; nothing was sent"},
		"killed": {func(net.Conn) {}, "the connection to %s broke before the server said anything; nothing was sent"},
		"no gRPC": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			_, _ = io.Copy(io.Discard, c) // a reset would take the answer back
		}, "there is no server at %s that speaks gRPC; is it the port of the metrics?"},
	} {
		t.Run(name, func(t *testing.T) {
			target := listen(t, c.serve)
			code, _, stderr := typed(target, "", "post", "1", "honk", "--timeout", "500ms")
			if want := fmt.Sprintf("skein: "+c.want, target); code != exitError || !strings.HasPrefix(stderr, want) {
				t.Errorf("exit %d, %s; want %s", code, stderr, want)
			}
		})
	}
}

// listen calls serve for each connection, and closes it then.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	working.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			working.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); working.Wait() })
	return l.Addr().String()
}

// cutOff is the address of a way to target that is cut at the first message which
// holds these words.
func cutOff(t *testing.T, target, words string) (address string) {
	return listen(t, func(client net.Conn) {
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer server.Close()
		go func() { _, _ = io.Copy(client, server) }()
		sent := make([]byte, 1<<16)
		for {
			n, err := client.Read(sent)
			if err != nil || bytes.Contains(sent[:n], []byte(words)) {
				return
			}
			if _, err := server.Write(sent[:n]); err != nil {
				return
			}
		}
	})
}
