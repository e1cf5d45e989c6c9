package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/internal/readonly"
)

// CheckOptions says what a check must know of what the records mean, and whom it
// tells what. One goroutine calls the functions; nil ones are left out.
type CheckOptions struct {
	// FS is where the folder lies; nil for the disk.
	FS vfs.FS
	// Topics that the log must have.
	Topics []eventlog.Topic
	// Record says why a record of a topic cannot be handled; nil if it can.
	Record func(topic string, r eventlog.Record) error
	// Origin is the topic in which every post comes into the log.
	Origin string
	// Found is told of everything that is wrong: kind is one of a few words,
	// detail says where, and what is the matter.
	Found func(kind, detail string)
	// Step is told how many records more were read.
	Step func(records int64)
}

func (o CheckOptions) withDefaults() CheckOptions {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Record == nil {
		o.Record = func(string, eventlog.Record) error { return nil }
	}
	if o.Found == nil {
		o.Found = func(string, string) {}
	}
	if o.Step == nil {
		o.Step = func(int64) {}
	}
	return o
}

// Checked is what a check learned of a log. Incomplete: not all could be read, and
// Topics and Records count what was.
type Checked struct {
	Topics, Records int64
	Incomplete      bool

	origin  *topic
	windows []window // by partition of the origin
}

// Check reads the whole log in dir, which nobody may have open, and holds it
// against its invariants and against what the contract lets appenders promise. It
// changes nothing: what a crash left in the write-ahead log is replayed in memory.
// Memory does not grow with the log.
//
// What is wrong goes to Found, also a folder that cannot be opened or read. The
// error is ctx's alone.
func Check(ctx context.Context, dir string, o CheckOptions) (*Checked, error) {
	c := &checker{CheckOptions: o.withDefaults(), ctx: ctx, behind: map[feed.PostID]string{}}
	f := &fate{dir: dir, logger: slog.New(slog.NewTextHandler(io.Discard, nil)), onFatal: func(error) {}}
	db, err := openReadOnly(dir, c.FS, f)
	if err != nil {
		c.unreadable(fmt.Sprintf("the event log in %s cannot be opened", dir), err)
		return &c.checked, ctx.Err()
	}
	c.db = db
	if err := c.guarded(); err != nil {
		c.unreadable(fmt.Sprintf("the event log in %s cannot be read", dir), err)
	}
	return &c.checked, ctx.Err()
}

func openReadOnly(dir string, fs vfs.FS, f *fate) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = recovered(p)
		}
	}()
	return pebble.Open(dir, &pebble.Options{
		FS: readonly.FS(fs), ReadOnly: true, ErrorIfNotExists: true, CacheSize: 32 << 20, Logger: f,
	})
}

// The kinds of what can be wrong, as an operator reads them.
const (
	kindUnreadable = "unreadable log"
	kindLayout     = "log layout"
	kindRecord     = "record"
	kindOffset     = "offset"
	kindLow        = "lower bound"
	kindCommit     = "committed offset"
)

// checker is one check.
type checker struct {
	CheckOptions
	ctx     context.Context
	db      *pebble.DB
	checked Checked
	records int64 // since the last Step
	damage  readonly.Damage
	// behind holds posts that stand behind a record which promised that none so
	// old would follow, with what to say if nothing excuses it.
	behind map[feed.PostID]string
	// tooMany counts those for which there was no room.
	tooMany int64
}

func (c *checker) found(kind, format string, args ...any) {
	c.Found(kind, fmt.Sprintf(format, args...))
}

// unreadable reports what Pebble cannot read, once for each file or reason.
func (c *checker) unreadable(where string, err error) {
	c.checked.Incomplete = true
	if line, first := c.damage.Say(where, err); first {
		c.found(kindUnreadable, "%s", line)
	}
}

// guarded runs the check and closes the store. Pebble may panic over damage.
func (c *checker) guarded() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = recovered(p)
			return
		}
		// It was read; an error of closing what was not written is of no use.
		_ = c.db.Close()
	}()
	topics := c.checkTopics()
	ids := map[uint32]*topic{}
	for _, t := range topics {
		ids[t.id] = t
		c.checkTopic(t)
	}
	c.checkStrays(ids)
	c.checkLows()
	c.Step(c.records)
	return nil
}

// scan visits all keys that begin with prefix, and reports what cannot be read.
func (c *checker) scan(prefix []byte, visit func(key, value []byte)) {
	err := scan(c.db, prefix, func(key, value []byte) error {
		visit(key, value)
		return c.ctx.Err()
	})
	switch {
	case c.ctx.Err() != nil:
		c.checked.Incomplete = true
	case err != nil:
		c.unreadable(fmt.Sprintf("at the rows %x", prefix), err)
	}
}

// checkTopics reads the topics, in the order of their names.
func (c *checker) checkTopics() []*topic {
	version, closer, err := c.db.Get(versionKey)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		c.found(kindLayout, "the log does not say which layout it has")
	case err != nil:
		c.unreadable("the row of the layout", err)
	case len(version) != 1 || version[0] != layoutVersion:
		c.found(kindLayout, "the log has layout %v, this program knows %d", version, layoutVersion)
	}
	if err == nil {
		_ = closer.Close()
	}
	partitions := map[string]int{}
	var topics []*topic
	c.scan([]byte{topicPrefix}, func(key, value []byte) {
		name := string(key[1:])
		if len(value) != 8 || binary.BigEndian.Uint32(value[4:]) > 1<<16 {
			c.found(kindLayout, "the row of topic %q is malformed", name)
			return
		}
		n := int(binary.BigEndian.Uint32(value[4:]))
		partitions[name] = n
		topics = append(topics, &topic{name: name, id: binary.BigEndian.Uint32(value), tails: make([]tail, n)})
	})
	for _, want := range c.Topics {
		if n, ok := partitions[want.Name]; !ok && !c.checked.Incomplete {
			c.found(kindLayout, "there is no topic %q", want.Name)
		} else if ok && n != want.Partitions {
			c.found(kindLayout, "topic %q has %d partitions, not %d", want.Name, n, want.Partitions)
		}
	}
	c.checked.Topics = int64(len(topics))
	return topics
}

// checkStrays finds rows that belong to no partition of any topic. It steps over
// those that do.
func (c *checker) checkStrays(topics map[uint32]*topic) {
	it, err := c.db.NewIter(nil)
	if err != nil {
		c.unreadable("looking for stray rows", err)
		return
	}
	defer it.Close()
	for ok := it.First(); ok; {
		key := it.Key()
		switch {
		case key[0] == topicPrefix, string(key) == string(versionKey):
			ok = it.Next()
			continue
		case key[0] != recordPrefix && key[0] != floorPrefix && key[0] != commitPrefix || len(key) < 9:
			c.found(kindLayout, "the row %x belongs to nothing", key)
			ok = it.Next()
			continue
		}
		id, partition := binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint32(key[5:])
		if t := topics[id]; t == nil || int64(partition) >= int64(len(t.tails)) {
			c.found(kindLayout, "the row %x belongs to no partition of any topic", key)
		}
		ok = it.SeekGE(bounds(partitionKey(key[0], id, int(partition))).UpperBound)
	}
	if err := it.Error(); err != nil {
		c.unreadable("looking for stray rows", err)
	}
}
