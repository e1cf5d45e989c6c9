package embedded

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
)

const (
	// maxBehind bounds the posts that are looked for a second time.
	maxBehind = 100_000
	// windowPosts bounds what is remembered of a partition of the origin.
	windowPosts = 1 << 17
	// slack is how far an id's time may be ahead of the clock that stamps
	// records: what a grant lies ahead, and more.
	slack = 10 * time.Second
)

// checkTopic checks every partition: records decode, offsets leave no hole between
// the floor and the head, and every group stands in between.
func (c *checker) checkTopic(t *topic) {
	isOrigin := t.name == c.Origin
	if isOrigin {
		c.checked.origin, c.checked.windows = t, make([]window, len(t.tails))
	}
	for p := range t.tails {
		groups := c.committed(t, p)
		var w *window
		if isOrigin {
			w = &c.checked.windows[p]
		}
		floor, head := c.checkPartition(t, p, leastOf(groups), w)
		for group, offset := range groups {
			if offset < floor || offset > head {
				c.found(kindCommit, "group %q stands at offset %d of %s, whose records go from %d to %d",
					group, offset, partitionName(t, p), floor, head)
			}
		}
	}
}

func partitionName(t *topic, partition int) string {
	return fmt.Sprintf("topic %q, partition %d", t.name, partition)
}

// committed reads where the groups stand in a partition.
func (c *checker) committed(t *topic, partition int) map[string]int64 {
	groups, prefix := map[string]int64{}, partitionKey(commitPrefix, t.id, partition)
	c.scan(prefix, func(key, value []byte) {
		if len(value) != 8 {
			c.found(kindCommit, "the offset of group %q in %s is malformed", key[len(prefix):], partitionName(t, partition))
			return
		}
		groups[string(key[len(prefix):])] = int64(binary.BigEndian.Uint64(value))
	})
	return groups
}

// leastOf is the offset below which every group is done; 0 without groups.
func leastOf(groups map[string]int64) int64 {
	least := int64(math.MaxInt64)
	for _, offset := range groups {
		least = min(least, offset)
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}

// checkPartition reads the records of a partition. Below done every group has
// handled them: what could not be was set aside.
func (c *checker) checkPartition(t *topic, partition int, done int64, w *window) (floor, head int64) {
	c.scan(partitionKey(floorPrefix, t.id, partition), func(_, value []byte) {
		if len(value) != 8 {
			c.found(kindOffset, "the first offset of %s is malformed", partitionName(t, partition))
			return
		}
		floor = int64(binary.BigEndian.Uint64(value))
	})
	head = floor
	var low feed.PostID // the highest promise so far
	var lowAt int64
	c.scan(partitionKey(recordPrefix, t.id, partition), func(key, value []byte) {
		c.checked.Records++
		if c.records++; c.records == 1<<14 {
			c.Step(c.records)
			c.records = 0
		}
		if len(key) != recordKeyLen {
			c.found(kindRecord, "the key %x in %s is malformed", key, partitionName(t, partition))
			return
		}
		offset := offsetOf(key)
		switch {
		case offset < floor:
			c.found(kindOffset, "%s has a record at offset %d, below its first, %d", partitionName(t, partition), offset, floor)
			return
		case offset != head:
			c.found(kindOffset, "%s lacks the records from offset %d up to %d", partitionName(t, partition), head, offset)
		}
		head = offset + 1
		r, err := recordOf(key, value, partition)
		if err != nil {
			c.found(kindRecord, "offset %d of %s: %v", offset, partitionName(t, partition), err)
			return
		}
		c.checkRecord(t, r, done)
		if r.Post.Valid() && r.Post < low {
			c.suspect(r.Post, fmt.Sprintf("post %d at offset %d of %s, where offset %d promised that none below %d would follow",
				r.Post, offset, partitionName(t, partition), lowAt, low))
		}
		if r.Low > low {
			low, lowAt = r.Low, offset
		}
		if w != nil {
			w.add(r)
		}
	})
	return floor, head
}

func (c *checker) checkRecord(t *topic, r eventlog.Record, done int64) {
	where := func() string { return fmt.Sprintf("offset %d of %s", r.Offset, partitionName(t, r.Partition)) }
	if len(r.Key) > 0 && t.partitionOf(r.Key) != r.Partition {
		c.found(kindRecord, "%s: its key belongs to partition %d", where(), t.partitionOf(r.Key))
	}
	if r.Post.Valid() && r.Low > r.Post {
		c.found(kindLow, "%s: its own post %d is below its lower bound %d", where(), r.Post, r.Low)
	}
	if err := c.Record(t.name, r); err != nil && r.Offset >= done {
		c.found(kindRecord, "%s cannot be handled: %v; it will be set aside", where(), err)
	}
}

// suspect notes a post that came too late for a promise; see checkLows.
func (c *checker) suspect(post feed.PostID, what string) {
	if _, known := c.behind[post]; known {
		return
	}
	if len(c.behind) == maxBehind {
		c.tooMany++
		return
	}
	c.behind[post] = what
}

// checkLows judges the posts that came behind a promise that none so old would. One
// thing excuses a post: that it came into the log before, too. A relay that
// crashed before its removal from the outbox was durable publishes again, and so
// does one that starts from a copy of storage older than the log's: the promise was
// about the first time. A first time that retention has removed is believed.
func (c *checker) checkLows() {
	if len(c.behind) == 0 || c.checked.origin == nil || c.checked.Incomplete {
		return
	}
	times := map[feed.PostID]int{}
	t := c.checked.origin
	oldest, trimmed := time.Time{}, false
	for p := range t.tails {
		first := true
		c.scan(partitionKey(floorPrefix, t.id, p), func(_, _ []byte) { trimmed = true })
		c.scan(partitionKey(recordPrefix, t.id, p), func(_, value []byte) {
			h, err := headerOf(value)
			if err != nil {
				return
			}
			if _, asked := c.behind[h.post]; asked {
				times[h.post]++
			}
			if first && h.appended.After(oldest) {
				oldest = h.appended
			}
			first = false
		})
	}
	for post, what := range c.behind {
		if times[post] < 2 && (!trimmed || post.Time().After(oldest.Add(slack))) {
			c.found(kindLow, "%s", what)
		}
	}
	if c.tooMany > 0 {
		c.found(kindLow, "%d more posts stand behind a promise that none so old would follow, and were not looked at", c.tooMany)
	}
}

// window remembers the newest posts of a partition of the origin.
type window struct {
	posts []feed.PostID
	next  int       // where the oldest stands, once it is full
	times []int64   // append times, in ns since 1970, beside posts
	since time.Time // of the oldest remembered; zero for none
}

func (w *window) add(r eventlog.Record) {
	if len(w.posts) < windowPosts {
		w.posts, w.times = append(w.posts, r.Post), append(w.times, r.AppendTime.UnixNano())
	} else {
		w.posts[w.next], w.times[w.next] = r.Post, r.AppendTime.UnixNano()
		w.next = (w.next + 1) % windowPosts
	}
}

// Posts are those that are remembered of the origin's partitions, the last hundred
// thousand of each.
func (c *Checked) Posts() iter.Seq[feed.PostID] {
	return func(yield func(feed.PostID) bool) {
		for _, w := range c.windows {
			for _, post := range w.posts {
				if post.Valid() && !yield(post) {
					return
				}
			}
		}
	}
}

// Lacks reports whether a post, whose records of the origin bear key, should be in
// the log and is not: it is newer than what is remembered of its partition, the
// last hundred thousand, and is not among them.
func (c *Checked) Lacks(key []byte, post feed.PostID) bool {
	if c.origin == nil {
		return false
	}
	w := &c.windows[c.origin.partitionOf(key)]
	if len(w.posts) == 0 {
		return false
	}
	if w.since.IsZero() {
		w.since = time.Unix(0, w.times[w.next%len(w.times)])
		slices.Sort(w.posts)
	}
	if !post.Time().After(w.since.Add(slack)) {
		return false
	}
	_, found := slices.BinarySearch(w.posts, post)
	return !found
}
