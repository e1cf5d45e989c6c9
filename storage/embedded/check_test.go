package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

// sample is a store with something of everything.
type sample struct {
	*Store
	posts []feed.PostID // 0 to 3 are of user 1; 0 waits in the outbox, 1 has a request key
}

func newSample(t *testing.T, dir string, fs vfs.FS) *sample {
	t.Helper()
	ctx := context.Background()
	store, err := Open(dir, Options{FS: fs, OnFatal: func(error) {}})
	must(t, err)
	s := &sample{Store: store}
	_, err = s.ImportFollows(ctx, []feed.Follow{{Viewer: 2, Author: 1}, {Viewer: 3, Author: 1}, {Viewer: 3, Author: 2}, {Viewer: 4, Author: 1}})
	must(t, err)
	_, err = s.Unfollow(ctx, feed.Follow{Viewer: 4, Author: 1})
	must(t, err)
	_, err = s.Follow(ctx, feed.Follow{Viewer: 4, Author: 3})
	must(t, err)
	_, err = s.CreateUser(ctx, 0)
	must(t, err)
	ids := feed.NewIDs(s, time.Now)
	for i, draft := range []storage.Draft{
		{Post: feed.Post{Author: 1}},
		{Post: feed.Post{Author: 1}, RequestID: "once"},
		{Post: feed.Post{Author: 1}},
		{Post: feed.Post{Author: 1, Payload: []byte{1, 2}}},
		{Post: feed.Post{Author: 2}, RequestID: "gone"},
	} {
		draft.Post.Text = "honk"
		draft.Post.ID, err = ids.Next(ctx)
		must(t, err)
		_, err = s.CreatePost(ctx, draft)
		must(t, err)
		s.posts = append(s.posts, draft.Post.ID)
		if i > 0 {
			// Relay takes the oldest first, which shall stay.
			b := s.batch()
			b.remove(eventKey(draft.Post.ID))
			must(t, s.commit(b, pebble.Sync))
		}
	}
	must(t, s.DeletePost(ctx, 2, s.posts[4]))
	must(t, s.PutSettings(ctx, policy.Settings{Mode: policy.Push, LoudAt: 5}))
	loud := policy.History(nil).Add(policy.Change{From: feed.IDAt(time.Now().Add(time.Hour)), Tier: policy.Loud})
	must(t, s.ChangeTier(ctx, 1, nil, loud))
	return s
}

// findings checks the folder and returns what is wrong, a line each.
func findings(t *testing.T, dir string, fs vfs.FS) (lines []string, contents Contents) {
	t.Helper()
	contents, err := Check(context.Background(), dir, CheckOptions{
		FS: fs, Found: func(kind, detail string) { lines = append(lines, kind+": "+detail) },
	})
	must(t, err)
	return lines, contents
}

// A sound store has no findings, and each kind of damage is found, by its own
// check and no other.
func TestCheckFindsDamage(t *testing.T) {
	set := func(key, value []byte) func(*sample, batch) {
		return func(_ *sample, b batch) { b.set(key, value) }
	}
	remove := func(key []byte) func(*sample, batch) {
		return func(_ *sample, b batch) { b.remove(key) }
	}
	lateID := feed.IDAt(time.Now().Add(time.Hour))
	history := func(h ...policy.Change) []byte { return encodeHistory(1, h) }
	for name, c := range map[string]struct {
		damage func(s *sample, b batch)
		want   []string // all findings contain one of these, and each is there
	}{
		"nothing":       {func(*sample, batch) {}, nil},
		"format":        {set(keyFormat, encodeNumbers(9)), []string{"format: the store has format 9"}},
		"no format":     {remove(keyFormat), []string{"format: the store does not say"}},
		"token":         {set(keyToken, []byte{1}), []string{"format: the key under which page tokens are signed has 1 bytes"}},
		"foreign table": {set([]byte{0x77, 1}, nil), []string{"malformed row: the row 7701 belongs to no table"}},

		"post gone":        {func(s *sample, b batch) { b.remove(postKey(s.posts[2])) }, []string{"post: the timeline of user 1 has post"}},
		"index gone":       {func(s *sample, b batch) { b.remove(byAuthorKey(1, s.posts[2])) }, []string{"is not in the timeline of its author 1"}},
		"another author":   {func(s *sample, b batch) { b.set(postKey(s.posts[2]), encodePost(feed.Post{Author: 2})) }, []string{"is not in the timeline of its author 2", "the timeline of user 1 has post"}},
		"post malformed":   {func(s *sample, b batch) { b.set(postKey(s.posts[2]), []byte{1}) }, []string{"malformed row"}},
		"post of no user":  {set(byAuthorKey(99, lateID), nil), []string{"user: user 99 has posts and does not exist", "the timeline of user 99 has post"}},
		"id never granted": {func(_ *sample, b batch) { showPost(b, feed.Post{ID: lateID, Author: 1}) }, []string{"post id: id "}},
		"event malformed":  {func(s *sample, b batch) { b.set(eventKey(s.posts[0]), []byte{1}) }, []string{"malformed row"}},
		"event differs":    {func(s *sample, b batch) { b.set(eventKey(s.posts[0]), encodePost(feed.Post{Author: 1, Text: "other"})) }, []string{"outbox: the event of post"}},
		"event to complete": {func(s *sample, b batch) {
			b.remove(postKey(s.posts[0]))
			b.remove(byAuthorKey(1, s.posts[0]))
		}, nil},
		"lease malformed": {set([]byte{tableLeases, 1}, nil), []string{"malformed row"}},

		"request malformed":    {set(append([]byte{tableRequests}, make([]byte, scopeLen)...), []byte{1}), []string{"malformed row"}},
		"request without time": {func(s *sample, b batch) { b.remove(s.request(1, "once").timeKey()) }, []string{"request key: a request key of user 1 never expires"}},
		"time without request": {func(s *sample, b batch) { b.remove(s.request(1, "once").key()) }, []string{"request key: a time of expiry of user 1"}},
		"request of another": {func(s *sample, b batch) {
			row := requestRow{scope: scopeOf(2, "x"), post: s.posts[1], content: s.request(1, "once").content}
			row.put(b)
		}, []string{"request key: a request key of user 2 points to post"}},
		"request of other content": {func(s *sample, b batch) {
			row := requestRow{scope: scopeOf(1, "x"), post: s.posts[1]}
			row.put(b)
		}, []string{"which has another content"}},

		"user malformed": {set(row(tableUsers, 5), []byte{1}), []string{"malformed row"}},
		"user negative":  {set(row(tableUsers, -5), encodeNumbers(1)), []string{"malformed row"}},
		"viewer no user": {remove(row(tableUsers, 4)), []string{"user 4 has a follow set and does not exist"}},
		"author no user": {remove(row(tableUsers, 1)), []string{"user 1 has posts and does not exist", "user 1 has followers and does not exist"}},
		"follower gone": {func(_ *sample, b batch) {
			b.remove(followersKey(1, feed.UserID(3).Hash()))
			b.add(row(tableFollowerCounts, 1), -1)
		}, []string{"follow: user 3 follows user 1, and is not among the followers"}},
		"follow gone": {func(_ *sample, b batch) {
			b.remove(followsKey(3, 1))
			b.set(row(tableFollows, 3), followHead{1, 1}.encode())
		}, []string{"follow: user 3 is among the followers of user 1, and does not follow"}},
		"edge malformed":    {set(append([]byte{tableFollowers}, 1, 2, 3, 4, 5, 6, 7, 8, 9), nil), []string{"malformed row"}},
		"head gone":         {remove(row(tableFollows, 3)), []string{"the follow set of user 3 has no head", "since version 1 of a set that is at version 0"}},
		"head counts wrong": {set(row(tableFollows, 3), followHead{1, 7}.encode()), []string{"count: user 3 is said to follow 7 and follows 2"}},
		"last head wrong":   {set(row(tableFollows, 4), followHead{3, 7}.encode()), []string{"count: user 4 is said to follow 7 and follows 1"}},
		"edge too new":      {set(followsKey(3, 1), encodeNumbers(9)), []string{"since version 9 of a set that is at version 1"}},
		"count wrong":       {func(_ *sample, b batch) { b.add(row(tableFollowerCounts, 1), 3) }, []string{"count: user 1 is said to have 5 followers and has 2"}},
		"last count wrong":  {func(_ *sample, b batch) { b.add(row(tableFollowerCounts, 3), 3) }, []string{"count: user 3 is said to have 4 followers and has 1"}},
		"count of nobody":   {func(_ *sample, b batch) { b.add(row(tableFollowerCounts, 5), 3) }, []string{"count: user 5 is said to have 3 followers and has none"}},

		"settings malformed":    {set(keyShared, []byte{1}), []string{"malformed row", "beyond the last"}},
		"settings wrong":        {set(keyShared, sharedHead{version: 2, settings: policy.Settings{Mode: 9}}.encode()), []string{"tier: the settings are mode 9"}},
		"version too high":      {set(keyShared, sharedHead{version: 1, settings: policy.DefaultSettings}.encode()), []string{"tier: the tier history of user 1 has version 2, beyond the last, 1"}},
		"history gone":          {remove(row(tableTiers, 2)), []string{"tier: the tier history of user 1, of version 2, is not there"}},
		"history not known":     {remove(row(tableTierVersions, 1)), []string{"is not known to be the user's"}},
		"history of before":     {set(row(tableTiers, 1), history()), []string{"beside the present one"}},
		"history malformed":     {set(row(tableTiers, 2), []byte{1}), []string{"malformed row"}},
		"history out of order":  {set(row(tableTiers, 2), history(policy.Change{From: 9, Tier: policy.Loud}, policy.Change{From: 8})), []string{"does not alternate"}},
		"history of same tiers": {set(row(tableTiers, 2), history(policy.Change{From: 9})), []string{"does not alternate"}},
		"history too long":      {set(row(tableTiers, 2), history(alternating(policy.MaxChanges+1)...)), []string{"has 33 changes"}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := newSample(t, "store", fs)
			b := s.batch()
			c.damage(s, b)
			must(t, s.commit(b, pebble.Sync))
			must(t, s.Close())
			lines, contents := findings(t, "store", fs)
			for _, line := range lines {
				if !containsAny(line, c.want) {
					t.Errorf("found %q", line)
				}
			}
			for _, want := range c.want {
				if !strings.Contains(strings.Join(lines, "\n"), want) {
					t.Errorf("did not find %q, but %q", want, lines)
				}
			}
			if want := (Contents{Posts: 4, Events: 1, Requests: 2, Users: 5, Follows: 4, Tiers: 1}); c.want == nil && name == "nothing" && contents != want {
				t.Errorf("counted %+v, want %+v", contents, want)
			}
		})
	}
}

func (s *sample) request(author feed.UserID, id string) *requestRow {
	row := &requestRow{scope: scopeOf(author, id)}
	_, _ = s.lookup(row.key(), func(value []byte) error {
		row = requestOf(row.key(), value)
		return nil
	})
	return row
}

func alternating(n int) (h []policy.Change) {
	for i := range n {
		tier := policy.Loud
		if i%2 == 1 {
			tier = policy.Quiet
		}
		h = append(h, policy.Change{From: feed.PostID(i + 1), Tier: tier})
	}
	return h
}

func containsAny(line string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(line, part) {
			return true
		}
	}
	return false
}

// A check tells of posts whose events were relayed, and of no other.
func TestCheckTellsWhatWasRelayed(t *testing.T) {
	fs := vfs.NewMem()
	s := newSample(t, "store", fs)
	must(t, s.Close())
	var told []feed.PostID
	_, err := Check(t.Context(), "store", CheckOptions{FS: fs, Relayed: func(r feed.Ref) { told = append(told, r.Post) }})
	if err != nil || len(told) != 3 || told[0] != s.posts[1] || told[2] != s.posts[3] {
		t.Errorf("told of %d (%v), want %d", told, err, s.posts[1:4])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Check(ctx, "store", CheckOptions{FS: fs}); !errors.Is(err, context.Canceled) {
		t.Errorf("a check that was cancelled: %v", err)
	}
}

// What is on the disk is damaged: one finding or some, never a panic. And a check
// changes no file, also where a crash left a log to replay.
func TestCheckOfDamagedFiles(t *testing.T) {
	made := t.TempDir()
	s := newSample(t, filepath.Join(made, "store"), nil)
	b := s.batch()
	for i := range 20_000 { // some blocks of rows
		showPost(b, feed.Post{ID: s.posts[0] - feed.PostID(i+1)<<22, Author: 1, Text: strings.Repeat("honk ", 10)})
	}
	must(t, s.commit(b, pebble.Sync))
	crashed := filepath.Join(made, "crashed")
	must(t, os.CopyFS(crashed, os.DirFS(filepath.Join(made, "store"))))
	must(t, s.db.Flush())
	must(t, s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
	must(t, s.Close())

	for name, c := range map[string]struct {
		from, pattern string
		damage        func(file string) error
		clean         bool
	}{
		"sound":         {"store", "*.sst", func(string) error { return nil }, true},
		"crashed":       {"crashed", "*.log", func(string) error { return nil }, true},
		"flipped bytes": {"store", "*.sst", func(file string) error { return flip(file, 0.3) }, false},
		"flipped tail":  {"store", "*.sst", func(file string) error { return flip(file, 0.999) }, false},
		"table missing": {"store", "*.sst", os.Remove, false},
		"table cut":     {"store", "*.sst", func(file string) error { return os.Truncate(file, 100) }, false},
		"manifest":      {"store", "MANIFEST-*", func(file string) error { return os.WriteFile(file, []byte("no"), 0o600) }, false},
		"marker":        {"store", "marker.manifest*", os.Remove, false},
		"log flipped":   {"crashed", "*.log", func(file string) error { return flip(file, 0.5) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			must(t, os.CopyFS(dir, os.DirFS(filepath.Join(made, c.from))))
			must(t, os.Remove(filepath.Join(dir, "LOCK")))
			for _, file := range glob(t, dir, c.pattern) {
				must(t, c.damage(file))
			}
			before := snapshot(t, dir)
			lines, contents := findings(t, dir, nil)
			if clean := len(lines) == 0; clean != c.clean || clean && contents.Posts < 20_000 || contents.Incomplete == clean {
				t.Errorf("found %d, first %.300q, in %+v", len(lines), lines, contents)
			}
			if damaged := strings.Contains(name, "flipped ") || name == "table cut"; !c.clean && len(lines) != 1 || damaged && !strings.Contains(lines[0], ".sst") {
				t.Errorf("not one line that names the file: %q", lines)
			}
			for _, line := range lines {
				if strings.Contains(line, "\n") || strings.Contains(line, "carrier") {
					t.Errorf("not for people: %q", line)
				}
			}
			if after := snapshot(t, dir); after != before {
				t.Errorf("the check changed files: from\n%s to\n%s", before, after)
			}
		})
	}
	if lines, _ := findings(t, filepath.Join(made, "none"), nil); len(lines) != 1 {
		t.Errorf("of no folder: %q", lines)
	}
}

// flip changes eight bytes at a part of a file.
func flip(file string, part float64) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	at := int(part * float64(len(content)-8))
	binary.BigEndian.PutUint64(content[at:], ^binary.BigEndian.Uint64(content[at:]))
	return os.WriteFile(file, content, 0o600)
}

// snapshot is every file with its size, time and content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, file := range files {
		info, err := file.Info()
		must(t, err)
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		must(t, err)
		all.WriteString(sprint("%s %v %d %x\n", file.Name(), info.ModTime(), info.Size(), maphashOf(content)))
	}
	return all.String()
}

func maphashOf(content []byte) content { return contentOf(feed.Post{Payload: content}) }

func row(table byte, n int64) []byte { return number(table, n) }
