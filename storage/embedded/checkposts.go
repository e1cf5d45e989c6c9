package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
)

// along looks rows up whose keys rise, by one iterator that goes forward. Where it
// stands at or after a key, it stays: to seek would pass once more over what was deleted
// before the next row, which of an outbox is every event ever relayed. (Pebble sees that
// too, but leaves it out at times where it checks itself, as under the race detector.)
type along struct {
	c     *checker
	table byte
	it    *pebble.Iterator
	more  bool // it stands at a row
}

// along begins at the first row of a table. The caller closes it.
func (c *checker) along(table byte) *along {
	it, err := c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}})
	if err != nil {
		c.torn[table] = true
		c.unreadable(fmt.Sprintf("table %#x", table), err)
		return &along{c: c, table: table}
	}
	return &along{c: c, table: table, it: it, more: it.First()}
}

// row finds the first row whose key begins with prefix. Of a torn table it finds
// everything, without a value: what cannot be asked is not missing.
func (a *along) row(prefix []byte) (value []byte, found bool) {
	if a.c.torn[a.table] {
		return nil, true
	}
	if a.more && bytes.Compare(a.it.Key(), prefix) < 0 {
		a.more = a.it.SeekGE(prefix)
	}
	if a.more && bytes.HasPrefix(a.it.Key(), prefix) {
		return a.it.Value(), true
	}
	if err := a.it.Error(); err != nil {
		a.c.torn[a.table] = true
		a.c.unreadable(fmt.Sprintf("table %#x at row %x", a.table, prefix), err)
		return nil, true
	}
	return nil, false
}

func (a *along) close() {
	if a.it != nil {
		_ = a.it.Close() // what it met was said
	}
}

// checkPosts checks that every post stands in its author's index and the other
// way round, that its id lies inside what was ever granted (W4), and that an event
// in the outbox tells of the post as it is, or can still complete it (W1).
func (c *checker) checkPosts() {
	c.checkMeta()
	c.checkLeases()
	p := pair{
		mirror: newMirror(), first: tablePosts, other: tableByAuthor, kind: kindPosts,
		toOther: func(key, value []byte) []byte {
			post, err := decodePost(key, value)
			if err != nil {
				return nil
			}
			return byAuthorKey(post.Author, post.ID)
		},
		toFirst: func(key []byte) []byte {
			if len(key) != twoNumbers {
				return nil
			}
			return postKey(postOf(key))
		},
		onlyFirst: func(other []byte) string {
			return sprint("post %d is not in the timeline of its author %d", postOf(other), userOf(other))
		},
		onlyOther: func(other []byte) string {
			return sprint("the timeline of user %d has post %d, which is not there or of another author", userOf(other), postOf(other))
		},
	}
	events := c.along(tableEvents)
	defer events.close()
	c.each(tablePosts, func(key, value []byte) {
		c.contents.Posts++
		post, ok := c.post(key, value)
		if !ok {
			return
		}
		p.addFirst(byAuthorKey(post.Author, post.ID))
		if _, waits := events.row(eventKey(post.ID)); !waits {
			c.Relayed(feed.Ref{Post: post.ID, Author: post.Author})
		}
	})
	users := c.along(tableUsers)
	defer users.close()
	author := feed.UserID(0)
	c.each(tableByAuthor, func(key, _ []byte) {
		if len(key) != twoNumbers {
			c.malformed(key)
			return
		}
		p.addOther(key)
		if u := userOf(key); u != author {
			author = u
			if _, exists := users.row(number(tableUsers, u)); !exists {
				c.found(kindUsers, "user %d has posts and does not exist", u)
			}
		}
	})
	c.compare(p)
	c.each(tableEvents, c.checkEvent)
}

// post decodes a row of a post or an event, and checks its id.
func (c *checker) post(key, value []byte) (feed.Post, bool) {
	post, err := decodePost(key, value)
	if err != nil || !post.ID.Valid() || !post.Author.Valid() {
		c.malformed(key)
		return post, false
	}
	c.checkID(post.ID)
	return post, true
}

func (c *checker) checkEvent(key, value []byte) {
	c.contents.Events++
	event, ok := c.post(key, value)
	if !ok {
		return
	}
	c.value(postKey(event.ID), func(post []byte) {
		if !bytes.Equal(post, value) {
			c.found(kindOutbox, "the event of post %d tells of another text or author than the post has", event.ID)
		}
	})
}

// checkLeases reads until when each node's id time was granted.
func (c *checker) checkLeases() {
	c.each(tableLeases, func(key, value []byte) {
		ns, err := numbers(key, value, 1)
		if err != nil || len(key) != 3 || binary.BigEndian.Uint16(key[1:]) >= feed.Nodes {
			c.malformed(key)
			return
		}
		c.until[binary.BigEndian.Uint16(key[1:])] = int64(ns[0])
	})
	if c.torn[tableLeases] {
		return
	}
	until := timeOf(uint64(slices.Max(c.until[:])))
	for id := range c.Logged {
		if id.Time().After(until.Add(MaxUngranted)) {
			c.found(kindIDs, "the event log has post %d, of a time that storage never granted: storage lost what was written after %s",
				id, until.UTC().Format(time.RFC3339))
			return // one tells it all
		}
	}
}

// checkID holds an id against the grants. From where a grant began nobody knows
// any more; after its end no id can have been given, whatever the clocks did.
func (c *checker) checkID(id feed.PostID) {
	node, millis := nodeOf(id), id.Time().Sub(feed.Epoch).Milliseconds()
	if !c.torn[tableLeases] && millis >= c.until[node] {
		c.found(kindIDs, "id %d is of a time that node %d was never granted; the same id may be given again", id, node)
	}
}

// nodeOf is the generator that gave an id.
func nodeOf(id feed.PostID) int {
	width := feed.IDAt(feed.Epoch.Add(time.Millisecond)) / feed.Nodes // of a node's sequence in a millisecond
	return int(id / width % feed.Nodes)
}

// postOf reads the post of an author's index row.
func postOf(key []byte) feed.PostID {
	return feed.PostID(^binary.BigEndian.Uint64(key[oneNumber:]))
}
