package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	feedv1 "skein/proto/feed/v1"
)

// ask runs a command of skein in a process of its own, to its end.
func ask(t *testing.T, wantCode int, args ...string) (stdout, stderr string) {
	t.Helper()
	p := command(t, args...)
	code, stderr := p.exit(t)
	if code != wantCode {
		t.Fatalf("skein %v: exit %d, want %d: %s%s", args, code, wantCode, p.stdout.String(), stderr)
	}
	return p.stdout.String(), stderr
}

// circle is a few people who follow each other and post until they are stopped.
type circle struct {
	mu    sync.Mutex
	posts map[int64]string // acknowledged, by id
}

const circleSize = 4

func newCircle(t *testing.T, s services) *circle {
	t.Helper()
	stream, err := s.ImportFollows(withDeadline(t))
	if err != nil {
		t.Fatal(err)
	}
	m := &feedv1.ImportFollowsRequest{}
	for viewer := int64(1); viewer <= circleSize; viewer++ {
		for author := int64(1); author <= circleSize; author++ {
			if viewer != author {
				m.Follows = append(m.Follows, &feedv1.FollowEdge{ViewerId: viewer, AuthorId: author})
			}
		}
	}
	_ = stream.Send(m) // CloseAndRecv says what was wrong
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	return &circle{posts: map[int64]string{}}
}

// load posts until stop is called; lost may say that an error is expected.
func (c *circle) load(t *testing.T, s services, lost func() bool) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	began := len(c.known())
	wait := together(circleSize, func(n int) {
		for i := 0; ctx.Err() == nil; i++ {
			text := fmt.Sprintf("%d/%d/%d", began, n, i)
			post, err := s.CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: int64(n + 1), Text: text, RequestId: text})
			if err != nil && (ctx.Err() != nil || lost()) {
				return
			}
			if err != nil {
				t.Errorf("under load: %v", err)
				return
			}
			c.mu.Lock()
			c.posts[post.GetId()] = text
			c.mu.Unlock()
		}
	})
	eventually(t, "some load", func() bool { return len(c.known()) >= began+200 })
	return func() { cancel(); wait() }
}

func (c *circle) known() map[int64]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[int64]string{}
	for id, text := range c.posts {
		known[id] = text
	}
	return known
}

// has checks that all of these posts are there, by everybody's home timeline, and that
// these agree with the user timelines.
func (c *circle) has(t *testing.T, s services, posts map[int64]string) {
	t.Helper()
	ctx, all := withDeadline(t), map[int64]string{}
	for author := int64(1); author <= circleSize; author++ {
		written, err := scroll(func(token string) (page, error) {
			return s.GetUserTimeline(ctx, &feedv1.GetUserTimelineRequest{AuthorId: author, PageSize: 200, PageToken: token})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, post := range written {
			all[post.GetId()] = post.GetText()
		}
	}
	for id, text := range posts {
		if all[id] != text {
			t.Errorf("post %d, %q, is %q", id, text, all[id])
		}
	}
	for viewer := int64(1); viewer <= circleSize; viewer++ {
		shown, err := scroll(func(token string) (page, error) {
			return s.GetHomeTimeline(ctx, &feedv1.GetHomeTimelineRequest{ViewerId: viewer, PageSize: 200, PageToken: token})
		})
		if err != nil || len(shown) != len(all) {
			t.Errorf("the home timeline of %d has %d posts, the user timelines %d (%v)", viewer, len(shown), len(all), err)
		}
	}
}

func never() bool { return false }

// W2: a backup made under load holds every post acknowledged before it began, is
// sound, and can be served once it is restored, where ids go on (W4) and timelines
// agree. The data that a kill -9 under load leaves is sound, too, and copied without a
// server.
func TestBackupUnderLoad(t *testing.T) {
	dir, to := filepath.Join(t.TempDir(), "data"), t.TempDir()
	server := serve(t, dir)
	c := newCircle(t, dialAll(t, server))
	stop := c.load(t, dialAll(t, server), never)
	copies := map[string]map[int64]string{}
	for n := range 3 {
		backup := filepath.Join(to, fmt.Sprint("hot", n))
		copies[backup] = c.known()
		ask(t, exitOK, "backup", backup, "--data-dir", dir)
	}
	stop()
	dead := make(chan struct{})
	stop = c.load(t, dialAll(t, server), func() bool {
		select {
		case <-dead:
			return true
		default:
			return false
		}
	})
	close(dead)
	server.signal(t, syscall.SIGKILL)
	server.exit(t)
	stop()
	ask(t, exitOK, "check", "--data-dir", dir)
	cold := filepath.Join(to, "cold")
	ask(t, exitOK, "backup", cold, "--data-dir", dir)
	copies[cold] = c.known()
	for backup, posts := range copies {
		restored := filepath.Join(to, "restored-"+filepath.Base(backup))
		stdout, _ := ask(t, exitOK, "restore", backup, "--data-dir", restored, "--json")
		var told copyResult
		if err := json.Unmarshal([]byte(stdout), &told); err != nil || !told.Sound || told.Check.Posts+told.Check.Outbox < int64(len(posts)) || told.Time.IsZero() {
			t.Errorf("restored %s: %s (%v)", backup, stdout, err)
		}
		ask(t, exitOK, "check", "--data-dir", restored)
		again := serve(t, restored)
		s := dialAll(t, again)
		c.has(t, s, posts)
		newest := int64(0)
		for id := range c.known() {
			newest = max(newest, id)
		}
		post, err := s.CreatePost(withDeadline(t), &feedv1.CreatePostRequest{AuthorId: 1, Text: "after"})
		if err != nil || post.GetId() <= newest {
			t.Errorf("the next post has id %d, not above %d (%v)", post.GetId(), newest, err)
		}
		again.signal(t, syscall.SIGTERM)
		again.exit(t)
		ask(t, exitOK, "check", "--data-dir", restored)
	}
}

// A backup that is killed leaves DIR.partial, of which the next one tells; the server
// lets go of what it kept for it, and goes on.
func TestBackupIsKilled(t *testing.T) {
	dir, to := filepath.Join(t.TempDir(), "data"), t.TempDir()
	server := serve(t, dir)
	stop := newCircle(t, dialAll(t, server)).load(t, dialAll(t, server), never)
	defer stop()
	for n := 0; ; n++ {
		backup := filepath.Join(to, fmt.Sprint(n))
		p := command(t, "backup", backup, "--data-dir", dir)
		eventually(t, "a backup begins", func() bool {
			_, unfinished := os.Stat(backup + ".partial")
			_, done := os.Stat(backup)
			return unfinished == nil || done == nil
		})
		_ = p.Process.Kill() // it may have ended
		p.exit(t)
		if _, err := os.Stat(backup); err == nil && n < 20 {
			continue // it was faster
		}
		if _, err := os.Stat(backup + ".partial"); err != nil {
			t.Fatalf("the killed backup left nothing: %v", err)
		}
		_, stderr := ask(t, exitError, "backup", backup, "--data-dir", dir)
		if !strings.Contains(stderr, backup+".partial is there") || !strings.Contains(stderr, "rm -r") {
			t.Errorf("after a killed backup: %s", stderr)
		}
		break
	}
	eventually(t, "the server removes the checkpoint", func() bool {
		_, err := os.Stat(filepath.Join(dir, "checkpoint"))
		return os.IsNotExist(err)
	})
	ask(t, exitOK, "backup", filepath.Join(to, "next"), "--data-dir", dir)
}

// A backup that cannot be written says so, leaves nothing, and does the server no
// harm.
func TestBackupCannotBeWritten(t *testing.T) {
	dir, to := filepath.Join(t.TempDir(), "data"), t.TempDir()
	server := serve(t, dir)
	s := dialAll(t, server)
	stop := newCircle(t, s).load(t, s, never)
	defer stop()
	limited := exec.Command("sh", "-c", `ulimit -f 1 && exec "$0" "$@"`, os.Args[0], "backup", filepath.Join(to, "b"), "--data-dir", dir)
	limited.Env = append(os.Environ(), asSkein+"=1")
	said, err := limited.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "cannot write the backup") || !strings.Contains(string(said), "file too large") {
		t.Errorf("a backup that does not fit: %v, %s", err, said)
	}
	if left, _ := os.ReadDir(to); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	ask(t, exitOK, "backup", filepath.Join(to, "b"), "--data-dir", dir)
}

// What a restore and a backup refuse, and what they leave as it was.
func TestRestoreRefuses(t *testing.T) {
	dir, to := filepath.Join(t.TempDir(), "data"), t.TempDir()
	server := serve(t, dir)
	newCircle(t, dialAll(t, server))
	backup, full := filepath.Join(to, "backup"), filepath.Join(to, "full")
	if err := os.Mkdir(backup, 0o700); err != nil { // an empty one will do
		t.Fatal(err)
	}
	ask(t, exitOK, "backup", backup, "--data-dir", dir)
	if err := os.MkdirAll(filepath.Join(full, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(backup, "storage", "*"))
	if err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(to, "none")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"backup", full, "--data-dir", dir}, full + " is not empty"},
		{[]string{"backup", filepath.Join(dir, "b"), "--data-dir", dir}, "is inside the data directory"},
		{[]string{"backup", filepath.Join(to, "no", "b"), "--data-dir", dir}, "cannot make the backup"},
		{[]string{"backup", filepath.Join(to, "b"), "--data-dir", none}, "there is no data in " + none},
		{[]string{"restore", full, "--data-dir", none}, full + " is no backup"},
		{[]string{"restore", backup, "--data-dir", full}, full + " is not empty"},
		{[]string{"restore", backup, "--data-dir", dir}, dir + " is not empty"},
		{[]string{"check", "--data-dir", dir}, "is in use by another skein; stop that one, or make a backup and check that"},
		{[]string{"check", "--data-dir", none}, "there is no data in " + none},
	} {
		if _, stderr := ask(t, exitError, c.args...); !strings.Contains(stderr, c.want) {
			t.Errorf("skein %v: %q, want %q", c.args, stderr, c.want)
		}
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || len(content) == 0 {
			continue
		}
		changed := slices.Clone(content)
		changed[len(changed)/2] ^= 1
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stderr := ask(t, exitError, "restore", backup, "--data-dir", none); !strings.Contains(stderr, "the backup is damaged: storage/"+filepath.Base(file)) {
			t.Errorf("with %s changed: %s", file, stderr)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(none); err == nil {
			t.Error("a restore that failed left the folder that it made")
		}
	}
	ask(t, exitOK, "restore", backup, "--data-dir", none)
}

// A check of damaged data says what is wrong, by its exit code too, and in JSON.
func TestCheckCommand(t *testing.T) {
	dir := t.TempDir()
	server := serve(t, dir)
	newCircle(t, dialAll(t, server))
	server.signal(t, syscall.SIGTERM)
	server.exit(t)
	stdout, _ := ask(t, exitOK, "check", "--data-dir", dir)
	if !strings.Contains(stdout, "Nothing is wrong in "+dir) || !strings.Contains(stdout, "4 users, 12 follows") {
		t.Errorf("of sound data: %s", stdout)
	}
	manifests, err := filepath.Glob(filepath.Join(dir, "log", "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no manifest (%v)", err)
	}
	for _, manifest := range manifests {
		if err := os.WriteFile(manifest, []byte("not a manifest"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stdout, stderr := ask(t, exitError, "check", "--data-dir", dir)
	if !strings.Contains(stdout, "wrong    unreadable log: the event log in ") || !strings.Contains(stderr, "one thing is wrong") ||
		!strings.Contains(stdout, "0 topics; incomplete: not all could be read\n") {
		t.Errorf("of a damaged log: %s, %s", stdout, stderr)
	}
	stdout, _ = ask(t, exitError, "check", "--data-dir", dir, "--json")
	var r checkResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.Sound || r.Counts["unreadable log"] != 1 || len(r.Findings) != 1 || r.Contents.Follows != 12 || !r.Contents.LogIncomplete || r.Contents.StorageIncomplete {
		t.Errorf("in JSON: %s (%v)", stdout, err)
	}
}

// Of many findings of one kind a few are told, and the rest is counted.
func TestCheckTellsAFew(t *testing.T) {
	r := &checkResult{Counts: map[string]int64{}, DataDir: "d"}
	for n := range 1_000 {
		r.add("post", fmt.Sprint("number ", n))
	}
	r.add("event", "one")
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	if said := b.String(); strings.Count(said, "post: number") != shownOfAKind || !strings.Contains(said, "post: 995 more") || !strings.Contains(said, "event: one") {
		t.Error(said)
	}
	if err := r.err(); err == nil || !strings.Contains(err.Error(), "in d 1,001 things are wrong") {
		t.Error(err)
	}
}

// A drain cuts a backup off, and says so; nothing is left of it. Another one at the
// same time is refused. The socket answers below a long path, too.
func TestBackupDuringADrain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 20), "data")
	app := run(t, func(c *Config) { c.Engines.DataDir = dir })
	var lost context.Context
	var release func()
	eventually(t, "a checkpoint", func() bool {
		var err error
		_, lost, release, err = newAdminClient(dir).checkpoint(t.Context())
		return err == nil
	})
	defer release()
	if _, _, _, err := newAdminClient(dir).checkpoint(t.Context()); err == nil || !strings.Contains(err.Error(), "another backup") {
		t.Errorf("a second backup: %v", err)
	}
	app.stop()
	if err := app.result(t); err != nil {
		t.Fatal(err)
	}
	select {
	case <-lost.Done():
	case <-time.After(patience):
		t.Fatal("the client did not notice")
	}
	if cause := context.Cause(lost); !strings.Contains(cause.Error(), "the server stopped meanwhile") {
		t.Errorf("cut off with %v", cause)
	}
	for _, name := range []string{"checkpoint", "admin.sock"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

// A backup stays as it was made: what would open it for writing refuses, and says what
// to do instead. One that was changed all the same is found by a check.
func TestBackupIsNotOpened(t *testing.T) {
	dir, to := filepath.Join(t.TempDir(), "data"), t.TempDir()
	newCircle(t, dialAll(t, serve(t, dir)))
	backup := filepath.Join(to, "backup")
	ask(t, exitOK, "backup", backup, "--data-dir", dir)
	for _, args := range [][]string{
		{"policy", "show"},
		{"policy", "set", "--mode", "push"},
		{"deadletters", "list"},
		{"serve", "--listen", "127.0.0.1:0", "--metrics-listen", ""},
	} {
		_, stderr := ask(t, exitError, append(args, "--data-dir", backup)...)
		if !strings.Contains(stderr, backup+" is a backup") || !strings.Contains(stderr, "skein restore "+backup) {
			t.Errorf("skein %v on a backup: %s", args, stderr)
		}
	}
	if _, stderr := ask(t, exitError, "backup", filepath.Join(to, "second"), "--data-dir", backup); !strings.Contains(stderr, "is a backup itself") {
		t.Errorf("a backup of a backup: %s", stderr)
	}
	ask(t, exitOK, "check", "--data-dir", backup)
	ask(t, exitOK, "restore", backup, "--data-dir", filepath.Join(to, "restored"))

	for name, change := range map[string]func(path string) error{
		"changed": func(path string) error { return os.WriteFile(path, []byte("0\n"), 0o600) },
		"removed": os.Remove,
		"added":   func(path string) error { return os.WriteFile(path+".new", nil, 0o600) },
	} {
		spoiled := filepath.Join(to, name)
		if err := os.CopyFS(spoiled, os.DirFS(backup)); err != nil {
			t.Fatal(err)
		}
		options, err := filepath.Glob(filepath.Join(spoiled, "log", "OPTIONS-*")) // no row is lost with it
		if err != nil || len(options) == 0 {
			t.Fatalf("no file to change (%v)", err)
		}
		if err := change(options[0]); err != nil {
			t.Fatal(err)
		}
		stdout, _ := ask(t, exitError, "check", "--data-dir", spoiled)
		if !strings.Contains(stdout, "wrong    backup: log/OPTIONS-") || !strings.Contains(stdout, " was changed after the backup was made") {
			t.Errorf("a check of a backup, one file %s: %s", name, stdout)
		}
	}

	if _, stderr := ask(t, exitUsage, "backup", "", "--data-dir", backup); !strings.Contains(stderr, "backup wants DIR") {
		t.Errorf("a backup to nowhere: %s", stderr)
	}

	// Of what cannot be read nobody knows if it was changed.
	unreadable := filepath.Join(to, "unreadable")
	if err := os.CopyFS(unreadable, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(string) error{os.Remove, func(path string) error { return os.Mkdir(path, 0o700) }} {
		if err := change(filepath.Join(unreadable, "identity")); err != nil {
			t.Fatal(err)
		}
	}
	stdout, _ := ask(t, exitError, "check", "--data-dir", unreadable)
	if !strings.Contains(stdout, "wrong    backup: cannot read ") || strings.Contains(stdout, "was changed") {
		t.Errorf("a check of a backup, one file unreadable: %s", stdout)
	}
}
