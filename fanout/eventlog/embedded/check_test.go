package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/fanout/eventlog"
	"skein/feed"
)

var checkedTopics = []eventlog.Topic{{Name: "posts", Partitions: 2}, {Name: "chunks", Partitions: 1}}

// record of a post, n seconds into the test.
func record(key string, n int, low feed.PostID) eventlog.Record {
	return eventlog.Record{Key: []byte(key), Value: []byte("v"), Post: post(n), Low: low}
}

var start = time.Now().Add(-time.Hour)

func post(n int) feed.PostID { return feed.IDAt(start.Add(time.Duration(n) * time.Second)) }

// sampleLog has, of topic posts, the records of posts 0 to 19, alternately under
// keys of either partition, and of chunks those of posts 0 to 9. Group g has done
// five of each partition.
func sampleLog(t *testing.T, dir string, fs vfs.FS) *Log {
	t.Helper()
	now := start
	l, err := Open(dir, checkedTopics, Options{FS: fs, Clock: func() time.Time { return now }})
	must(t, err)
	ctx := context.Background()
	keys := []string{"a", "b"}
	for i := 0; l.PartitionOf("posts", []byte(keys[0])) == l.PartitionOf("posts", []byte(keys[1])); i++ {
		keys[1] = string(rune('c' + i))
	}
	for n := range 20 {
		now = start.Add(time.Duration(n) * time.Second)
		must(t, l.Append(ctx, "posts", record(keys[n%2], n, post(n))))
		if n < 10 {
			must(t, l.Append(ctx, "chunks", record("a", n, post(n))))
		}
	}
	for _, topic := range checkedTopics {
		for p := range topic.Partitions {
			must(t, l.Reset(ctx, "g", topic.Name, p, 5))
		}
	}
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// findings checks the folder and returns what is wrong, a line each.
func findings(t *testing.T, dir string, fs vfs.FS) (lines []string, c *Checked) {
	t.Helper()
	c, err := Check(context.Background(), dir, CheckOptions{
		FS: fs, Topics: checkedTopics, Origin: "posts",
		Record: func(topic string, r eventlog.Record) error {
			if string(r.Value) != "v" {
				return errors.New("it is no event")
			}
			return nil
		},
		Found: func(kind, detail string) { lines = append(lines, kind+": "+detail) },
	})
	must(t, err)
	return lines, c
}

// A sound log has no findings, and each kind of damage is found, by its own check
// and no other.
func TestCheckFindsDamage(t *testing.T) {
	value := func(r eventlog.Record) []byte {
		v := make([]byte, recordLen(&r))
		putRecord(v, &r, start.UnixNano())
		return v
	}
	const chunks = 1 // the id of the topic
	appended := func(topic string, records ...eventlog.Record) func(t *testing.T, l *Log, b *pebble.Batch) {
		return func(t *testing.T, l *Log, _ *pebble.Batch) {
			must(t, l.Append(context.Background(), topic, records...))
		}
	}
	set := func(key, value []byte) func(*testing.T, *Log, *pebble.Batch) {
		return func(t *testing.T, _ *Log, b *pebble.Batch) { must(t, b.Set(key, value, nil)) }
	}
	remove := func(key []byte) func(*testing.T, *Log, *pebble.Batch) {
		return func(t *testing.T, _ *Log, b *pebble.Batch) { must(t, b.Delete(key, nil)) }
	}
	garbled := eventlog.Record{Key: []byte("a"), Value: []byte("garbled")}
	for name, c := range map[string]struct {
		damage func(*testing.T, *Log, *pebble.Batch)
		want   string // parted by |: each is found, and nothing else; "" for nothing
	}{
		"nothing":            {func(*testing.T, *Log, *pebble.Batch) {}, ""},
		"layout":             {set(versionKey, []byte{9}), "log layout: the log has layout [9]"},
		"no layout":          {remove(versionKey), "log layout: the log does not say"},
		"topic gone":         {func(t *testing.T, l *Log, b *pebble.Batch) { must(t, b.Delete(topicKey("chunks"), nil)) }, "log layout: "},
		"topic malformed":    {set(topicKey("more"), []byte{1}), `log layout: the row of topic "more" is malformed`},
		"fewer partitions":   {set(topicKey("chunks"), append(binary.BigEndian.AppendUint32(nil, chunks), 0, 0, 0, 2)), `topic "chunks" has 2 partitions, not 1|its key belongs to partition 1`},
		"stray":              {set([]byte("x"), nil), "log layout: the row 78 belongs to nothing"},
		"stray record":       {set(recordKey(77, 0, 0), nil), "belongs to no partition of any topic"},
		"record malformed":   {set(recordKey(chunks, 0, 6), []byte{1}), "record: offset 6 of topic"},
		"garbled, to come":   {appended("chunks", garbled), "record: offset 10 of topic"},
		"garbled, done":      {set(recordKey(chunks, 0, 3), value(garbled)), ""},
		"record misplaced":   {func(t *testing.T, l *Log, b *pebble.Batch) { misplace(t, l, b, value) }, "record: offset 10 of topic \"posts\""},
		"hole":               {remove(recordKey(chunks, 0, 6)), `offset: topic "chunks", partition 0 lacks the records from offset 6 up to 7`},
		"first one gone":     {remove(recordKey(chunks, 0, 0)), "lacks the records from offset 0 up to 1"},
		"below the floor":    {set(partitionKey(floorPrefix, chunks, 0), offsetValue(2)), "below its first, 2"},
		"floor malformed":    {set(partitionKey(floorPrefix, chunks, 0), []byte{1}), "offset: the first offset of topic"},
		"commit too high":    {set(commitKey(chunks, 0, "g"), offsetValue(11)), `committed offset: group "g" stands at offset 11 of topic "chunks", partition 0, whose records go from 0 to 10`},
		"commit malformed":   {set(commitKey(chunks, 0, "g"), []byte{1}), `committed offset: the offset of group "g"`},
		"own bound broken":   {appended("chunks", record("a", 10, post(11))), "its own post"},
		"bound broken":       {appended("chunks", record("a", 30, post(30)), record("a", 25, post(25))), "where offset 10 promised that none below"},
		"published again":    {appended("posts", record("a", 1, post(1)), record("a", 2, post(2)), record("b", 1, post(1)), record("b", 2, post(2))), ""},
		"published late":     {appended("posts", record("a", 30, post(30)), record("a", 25, post(25))), "promised that none below"},
		"a record of nobody": {appended("posts", eventlog.Record{Key: []byte("a"), Value: []byte("v")}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			l := sampleLog(t, "log", fs)
			b := l.db.NewBatch()
			c.damage(t, l, b)
			must(t, b.Commit(pebble.Sync))
			must(t, l.Close())
			lines, checked := findings(t, "log", fs)
			for _, line := range lines {
				if !slices.ContainsFunc(strings.Split(c.want, "|"), func(want string) bool { return want != "" && strings.Contains(line, want) }) {
					t.Errorf("found %q", line)
				}
			}
			for want := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(strings.Join(lines, "\n"), want) {
					t.Errorf("did not find %q", want)
				}
			}
			if name == "nothing" && (checked.Records != 30 || checked.Topics != 2) {
				t.Errorf("counted %+v", checked)
			}
		})
	}
}

// misplace puts a record at the end of the partition to which its key does not go.
func misplace(t *testing.T, l *Log, b *pebble.Batch, value func(eventlog.Record) []byte) {
	other := 1 - l.PartitionOf("posts", []byte("a"))
	must(t, b.Set(recordKey(0, other, 10), value(record("a", 20, 0)), nil))
}

// Lacks says of a post what the log can know: it is there, it is missing, or it
// is too old to tell.
func TestLacks(t *testing.T) {
	fs := vfs.NewMem()
	l := sampleLog(t, "log", fs)
	p := l.PartitionOf("posts", []byte("a"))
	must(t, l.Close())
	_, c := findings(t, "log", fs)
	for n, want := range map[int]bool{0: false, 5: false, 14: false, 18: false, 40: true} {
		if got := c.Lacks([]byte("a"), post(n)); got != want {
			t.Errorf("post %d (partition %d): lacking is %t, want %t", n, p, got, want)
		}
	}
	if !c.Lacks([]byte("a"), post(15)+1) {
		t.Error("a post that was never appended is said to be there")
	}
}

// Damaged files are a finding, never a panic, and a check changes nothing.
func TestCheckOfDamagedFiles(t *testing.T) {
	made := t.TempDir()
	l := sampleLog(t, filepath.Join(made, "log"), nil)
	for n := range 20 {
		r := record("a", 20+n, 0)
		r.Key = []byte("a")
		for range 10 {
			must(t, l.Append(t.Context(), "chunks", r))
		}
	}
	crashed := filepath.Join(made, "crashed")
	must(t, os.CopyFS(crashed, os.DirFS(filepath.Join(made, "log"))))
	must(t, l.db.Flush())
	must(t, l.Close())
	flip := func(file string) error {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for i := range 8 {
			content[len(content)/3+i] ^= 0xff
		}
		return os.WriteFile(file, content, 0o600)
	}
	for name, c := range map[string]struct {
		from, pattern string
		damage        func(file string) error
		clean         bool
	}{
		"sound":         {"log", "*.sst", func(string) error { return nil }, true},
		"crashed":       {"crashed", "*.log", func(string) error { return nil }, true},
		"flipped bytes": {"log", "*.sst", flip, false},
		"table missing": {"log", "*.sst", os.Remove, false},
		"manifest":      {"log", "MANIFEST-*", func(file string) error { return os.WriteFile(file, []byte("no"), 0o600) }, false},
		"marker":        {"log", "marker.manifest*", os.Remove, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			must(t, os.CopyFS(dir, os.DirFS(filepath.Join(made, c.from))))
			must(t, os.Remove(filepath.Join(dir, "LOCK")))
			files, err := filepath.Glob(filepath.Join(dir, c.pattern))
			must(t, err)
			if len(files) == 0 {
				t.Fatalf("no %s", c.pattern)
			}
			for _, file := range files {
				must(t, c.damage(file))
			}
			before := listing(t, dir)
			lines, checked := findings(t, dir, nil)
			if clean := len(lines) == 0; clean != c.clean || checked.Incomplete == clean || !clean && len(lines) != 1 {
				t.Errorf("found %q, in %d records (incomplete: %t)", lines, checked.Records, checked.Incomplete)
			}
			for _, line := range lines {
				if strings.Contains(line, "\n") || strings.Contains(line, "carrier") || name == "flipped bytes" && !strings.Contains(line, ".sst") {
					t.Errorf("not for people: %q", line)
				}
			}
			if after := listing(t, dir); after != before {
				t.Errorf("the check changed files: from\n%s to\n%s", before, after)
			}
		})
	}
}

// listing is every file with its content.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		must(t, err)
		all.WriteString(file.Name() + " " + string(content) + "\n")
	}
	return all.String()
}

// A checkpoint holds what was acknowledged before it, is sound, and one that fails
// leaves the log alone.
func TestCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	l := sampleLog(t, "log", fs)
	must(t, l.Checkpoint(t.Context(), "copy"))
	if err := l.Checkpoint(t.Context(), "copy"); err == nil {
		t.Error("a checkpoint over another one")
	}
	must(t, l.Append(t.Context(), "chunks", record("a", 20, post(20))))
	must(t, l.Close())
	if lines, c := findings(t, "copy", fs); len(lines) > 0 || c.Records != 30 {
		t.Errorf("found %q in %+v", lines, c)
	}
	if err := l.Checkpoint(t.Context(), "late"); feed.CodeOf(err) != feed.CodeUnavailable {
		t.Errorf("of a closed log: %v", err)
	}
}
