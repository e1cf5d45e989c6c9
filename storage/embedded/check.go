package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"skein/feed"
	"skein/internal/readonly"
)

// CheckOptions says whom a check tells what. One goroutine calls them all; nil
// ones are left out.
type CheckOptions struct {
	// FS holds the folder; nil is the disk.
	FS vfs.FS
	// Found is told of everything that is wrong: kind is one of a few words,
	// detail says which rows, and what is the matter with them.
	Found func(kind, detail string)
	// Step is told how many rows more were read.
	Step func(rows int64)
	// Relayed is told of each post whose event has left the outbox: the event
	// log has, or had, its event.
	Relayed func(feed.Ref)
	// Logged are posts that the event log has. More than MaxUngranted beyond what was
	// granted none of them can be.
	Logged iter.Seq[feed.PostID]
	// Token is told of the key under which page tokens are signed, which identifies
	// the store.
	Token func(key []byte)
}

// MaxUngranted is how far the ids in the event log may lie beyond the last grant of
// storage: a copy of both, which begins with a grant, has storage's moment before the
// log's.
const MaxUngranted = time.Minute

func (o CheckOptions) withDefaults() CheckOptions {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Found == nil {
		o.Found = func(string, string) {}
	}
	if o.Step == nil {
		o.Step = func(int64) {}
	}
	if o.Relayed == nil {
		o.Relayed = func(feed.Ref) {}
	}
	if o.Logged == nil {
		o.Logged = func(func(feed.PostID) bool) {}
	}
	if o.Token == nil {
		o.Token = func([]byte) {}
	}
	return o
}

// Contents counts what a store holds. Events are those in the outbox; Tiers are
// the authors whose tier ever changed. Incomplete: not all could be read, and these
// are what was.
type Contents struct {
	Posts, Events, Requests, Users, Follows, Tiers int64

	Incomplete bool
}

// stepRows is how many rows are read between two looks at the context.
const stepRows = 1 << 16

// Check reads the whole store in dir, which nobody may have open, and holds it
// against its invariants. It changes nothing: what a crash left in the log is
// replayed in memory. Memory does not grow with the store: the two sides of a
// table that is kept twice are compared by sums of hashes, see mirror.
//
// What is wrong goes to Found, also a folder that cannot be opened or read. The
// error is ctx's alone.
func Check(ctx context.Context, dir string, o CheckOptions) (Contents, error) {
	c := &checker{CheckOptions: o.withDefaults(), ctx: ctx}
	db, err := openReadOnly(dir, c.FS)
	if err != nil {
		c.unreadable(fmt.Sprintf("the store in %s cannot be opened", dir), err)
		return c.contents, ctx.Err()
	}
	c.Store = &Store{db: db, fault: &fault{dir: dir}}
	if err := c.guarded(); err != nil {
		c.unreadable(fmt.Sprintf("the store in %s cannot be read", dir), err)
	}
	return c.contents, ctx.Err()
}

// openReadOnly opens a store that shall not change.
func openReadOnly(dir string, fs vfs.FS) (*pebble.DB, error) {
	quiet := &fault{dir: dir, log: slog.New(slog.NewTextHandler(io.Discard, nil)), onFatal: func(error) {}}
	cache := pebble.NewCache(64 << 20)
	defer cache.Unref()
	return openPebble(dir, &pebble.Options{
		FS: readonly.FS(fs), ReadOnly: true, ErrorIfNotExists: true,
		Logger: pebbleLog{quiet}, Cache: cache, Merger: sumMerger,
	})
}

// The kinds of what can be wrong, as an operator reads them.
const (
	kindUnreadable = "unreadable"
	kindMalformed  = "malformed row"
	kindMeta       = "format"
	kindPosts      = "post"
	kindIDs        = "post id"
	kindOutbox     = "outbox"
	kindRequests   = "request key"
	kindUsers      = "user"
	kindFollows    = "follow"
	kindCounts     = "count"
	kindTiers      = "tier"
)

// checker is one check. It uses the Store only for its decoders and lookups.
type checker struct {
	*Store
	CheckOptions
	ctx      context.Context
	contents Contents

	until  [feed.Nodes]int64 // by node: before what time ids can have been given
	rows   int64             // since the last Step
	torn   map[byte]bool     // tables that could not be read to their end
	damage readonly.Damage
}

// unreadable reports what Pebble cannot read, once for each file or reason.
func (c *checker) unreadable(where string, err error) {
	c.contents.Incomplete = true
	if line, first := c.damage.Say(where, err); first {
		c.found(kindUnreadable, "%s", line)
	}
}

// guarded runs the check and closes the store. Pebble may panic over damage.
func (c *checker) guarded() (err error) {
	c.torn = map[byte]bool{}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
			return
		}
		// It was read; an error of closing what was not written is of no use.
		_ = c.db.Close()
	}()
	for _, run := range []func(){c.checkPosts, c.checkRequests, c.checkUsers, c.checkFollows, c.checkTiers} {
		if c.ctx.Err() == nil {
			run()
		}
	}
	c.Step(c.rows)
	return nil
}

func (c *checker) found(kind, format string, args ...any) {
	c.Found(kind, fmt.Sprintf(format, args...))
}

// each visits the rows of a table, in order. A table that cannot be read to its
// end is torn; what is compared with it would be noise.
func (c *checker) each(table byte, visit func(key, value []byte)) {
	var last []byte
	err := c.scan([]byte{table}, []byte{table + 1}, func(it *pebble.Iterator) (bool, error) {
		value, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		last = append(last[:0], it.Key()...)
		visit(it.Key(), value)
		if c.rows++; c.rows == stepRows {
			c.Step(c.rows)
			c.rows = 0
		}
		return c.ctx.Err() == nil, nil
	})
	if err != nil {
		c.torn[table] = true
		c.unreadable(fmt.Sprintf("table %#x, after row %x", table, last), err)
	}
	if c.ctx.Err() != nil {
		c.torn[table] = true
	}
}

// malformed reports a row that does not have the form of its table.
func (c *checker) malformed(key []byte) {
	c.found(kindMalformed, "the row %x does not have the form of its table", key)
}

// value looks one row up, and reports what cannot be read.
func (c *checker) value(key []byte, use func(value []byte)) (found bool) {
	found, err := c.lookup(key, func(value []byte) error {
		use(value)
		return nil
	})
	if err != nil {
		c.unreadable(fmt.Sprintf("row %x", key), err)
		return true // who asked whether it is there must not say that it is not
	}
	return found
}

func (c *checker) exists(key []byte) bool { return c.value(key, func([]byte) {}) }

// id is the number at the end of a key of one number.
func (c *checker) id(key []byte) (n uint64, ok bool) {
	n, err := lastNumber(key, oneNumber)
	if err != nil || int64(n) <= 0 {
		c.malformed(key)
		return 0, false
	}
	return n, true
}

// checkMeta checks what Open insists on, and that there are no other tables.
func (c *checker) checkMeta() {
	switch ns, found, err := c.lookupNumbers(keyFormat, 1); {
	case err != nil:
		c.unreadable("the row of the format", err)
	case !found:
		c.found(kindMeta, "the store does not say which format it has: its manifest or log is damaged")
	case ns[0] != format:
		c.found(kindMeta, "the store has format %d, this program reads %d", ns[0], format)
	}
	length, read := 0, false
	if !c.value(keyToken, func(value []byte) {
		length, read = len(value), true
		c.Token(value)
	}) || read && length != tokenLen {
		c.found(kindMeta, "the key under which page tokens are signed has %d bytes, not %d", length, tokenLen)
	}
	known := []byte{
		tableMeta, tablePosts, tableByAuthor, tableEvents, tableRequests, tableRequestTimes, tableLeases,
		tableUsers, tableFollowerCounts, tableFollows, tableFollowers, tableSharedHead, tableTierVersions, tableTiers,
	}
	first := []byte{0}
	for _, table := range append(known, 0xff) {
		err := c.scan(first, []byte{table}, func(it *pebble.Iterator) (bool, error) {
			c.found(kindMalformed, "the row %x belongs to no table", it.Key())
			return false, nil
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			c.unreadable(fmt.Sprintf("before table %#x", table), err)
		}
		first = []byte{table + 1}
	}
}

func userOf(key []byte) feed.UserID { return feed.UserID(binary.BigEndian.Uint64(key[1:])) }
