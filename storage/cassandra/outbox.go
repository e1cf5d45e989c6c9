package cassandra

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"skein/feed"
	"skein/storage"
)

const (
	// shards is over how many partitions the events of one time are spread. An event
	// is in the shard of its id's node, and a process takes nodes of one shard.
	shards = 8
	// bucketMillis of ids share a partition of each shard, spanBuckets a row of
	// outbox_spans.
	bucketMillis = 10_000
	spanBuckets  = 32
	// settled is how old an id must be so that its event, if it is not there, can
	// only come late: feed.MaxIDAge, and what clocks may be apart, a few times over.
	settled = 10 * time.Second
	// aheadEvents is how far ahead of the clock the id of an event may be.
	aheadEvents = leaseTime + settled

	// chunkBuckets are asked in one statement.
	chunkBuckets = 8
	// countChunks are counted one by one; with more, a part of them.
	countChunks = 8
	// removeTimeout bounds the removal after a publish whose caller has left.
	removeTimeout = 5 * time.Second

	leastEvents = `
SELECT post FROM outbox WHERE shard IN ? AND bucket IN ? AND post >= ? PER PARTITION LIMIT 1`

	countEvents = `
SELECT count(*) FROM outbox WHERE shard IN ? AND bucket IN ? AND post >= ?`

	removeEvents = `
DELETE FROM outbox USING TIMESTAMP ? WHERE shard = ? AND bucket = ? AND post IN ?`
)

func bucketOf(id feed.PostID) int64 { return int64(id>>22) / bucketMillis }

func firstOf(bucket int64) feed.PostID { return feed.PostID(bucket*bucketMillis) << 22 }

func spanOf(bucket int64) int64 { return bucket / spanBuckets }

// placeOf is the partition of an event.
func placeOf(id feed.PostID) (shard int16, bucket int64) {
	return int16(id >> 12 & (feed.Nodes - 1) % shards), bucketOf(id)
}

var allShards = func() (all []int16) {
	for i := range int16(shards) {
		all = append(all, i)
	}
	return all
}()

// outbox is what this process knows of the events.
type outbox struct {
	// taking keeps relays of this process from reading the same events.
	taking turn
	mu     *outboxState
}

type outboxState struct {
	sync.Mutex
	// creating are posts that are being created here: the relay would only find them
	// in doubt. whole are those that were, at most maxWhole of them: their rows need
	// not be written again.
	creating, whole map[feed.PostID]struct{}
	// held are being published here; gone were removed while a relay read.
	held, gone map[feed.PostID]struct{}
	// met is when an event was first seen without its post.
	met map[feed.PostID]time.Time
	// low: no event is below it, nor will be. dropped: buckets below it are.
	low     feed.PostID
	dropped int64
	// used are the shards of posts that were created here. inherited is when the
	// others were last looked at to the end, for events of the dead.
	used      [shards]bool
	inherited time.Time
}

const maxWhole = 200_000

func newOutbox() outbox {
	set := func() map[feed.PostID]struct{} { return map[feed.PostID]struct{}{} }
	return outbox{taking: make(turn, 1), mu: &outboxState{
		creating: set(), whole: set(), held: set(), gone: set(), met: map[feed.PostID]time.Time{},
	}}
}

func (o *outbox) begin(id feed.PostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.creating[id] = struct{}{}
	shard, _ := placeOf(id)
	o.mu.used[shard] = true
}

func (o *outbox) end(id feed.PostID, whole bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.creating, id)
	if whole && len(o.mu.whole) < maxWhole {
		o.mu.whole[id] = struct{}{}
	}
}

// inheritEvery is how often a relay looks for events of the dead, which have waited for
// presenceTime already: a look at all shards is two dozen statements.
const inheritEvery = time.Second

// toTake returns the shards in which a relay may find events now, home first, and
// whether these are all.
func (o *outbox) toTake(home int) (some []int, all bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all = time.Since(o.mu.inherited) >= inheritEvery
	for i := range shards {
		if shard := (home + i) % shards; all || o.mu.used[shard] {
			some = append(some, shard)
		}
	}
	return some, all
}

// tookAll notes that all shards were looked at to their end.
func (o *outbox) tookAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.inherited = time.Now()
}

// release ends the hold on events, some of which were removed.
func (o *outbox) release(held, removed []event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range held {
		delete(o.mu.held, e.Post)
	}
	for _, e := range removed {
		delete(o.mu.whole, e.Post)
		o.mu.gone[e.Post] = struct{}{}
	}
}

var errClockSet = errors.New("the clock of this machine was set ahead")

// OldestEvent implements storage.Outbox. It begins where it found, in earlier calls,
// that nothing is below.
func (s *Store) OldestEvent(ctx context.Context) (feed.PostID, error) {
	oldest, err := s.oldestEvent(ctx)
	return oldest, translate("read the outbox", err)
}

func (s *Store) oldestEvent(ctx context.Context) (feed.PostID, error) {
	// Not this process's clock: what is below low is not looked at again, and dropped.
	believed := s.Now()
	asked, err := s.askClock(ctx)
	if err != nil {
		return 0, err
	}
	// Who asks has taken the time for what it believes no new post to be older than.
	// If the clock was set ahead since it was last asked, that is too high, this once.
	if believed.Sub(asked) > feed.MaxIDAge {
		return 0, errClockSet
	}
	low, err := s.lowest(ctx, asked)
	if err != nil {
		return 0, err
	}
	oldest := feed.MaxPostID
	for _, buckets := range s.chunks(low, asked) {
		var id int64
		err := each(s.read(ctx, leastEvents, allShards, buckets, int64(low)), []any{&id}, func() { oldest = min(oldest, feed.PostID(id)) })
		if err != nil {
			return 0, err
		}
		if oldest < feed.MaxPostID {
			break
		}
	}
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	s.outbox.mu.low = max(s.outbox.mu.low, min(oldest, feed.IDAt(asked.Add(-settled))))
	return oldest, nil
}

// lowest returns an id below which no event is: what earlier calls found, or the first
// span that is registered.
func (s *Store) lowest(ctx context.Context, now time.Time) (feed.PostID, error) {
	s.outbox.mu.Lock()
	low := s.outbox.mu.low
	s.outbox.mu.Unlock()
	if low > 0 {
		return low, nil
	}
	var span int64
	low = feed.IDAt(now.Add(-settled))
	err := each(s.read(ctx, `SELECT span FROM outbox_spans WHERE one = 0 LIMIT 1`), []any{&span}, func() {
		low = min(low, firstOf(span*spanBuckets))
	})
	if err != nil {
		return 0, err
	}
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	if s.outbox.mu.low == 0 {
		s.outbox.mu.low, s.outbox.mu.dropped = max(low, 1), bucketOf(low)
	}
	return s.outbox.mu.low, nil
}

// chunks are the buckets from an id to the present, a few at a time.
func (s *Store) chunks(low feed.PostID, now time.Time) [][]int64 {
	var all []int64
	for b := bucketOf(low); b <= bucketOf(feed.IDAt(now.Add(aheadEvents))); b++ {
		all = append(all, b)
	}
	return slices.Collect(slices.Chunk(all, chunkBuckets))
}

// CountEvents implements storage.Outbox. A long backlog is estimated from a part of its
// buckets.
func (s *Store) CountEvents(ctx context.Context) (int64, error) {
	const doing = "count the outbox"
	now := s.Now()
	low, err := s.lowest(ctx, now)
	if err != nil {
		return 0, translate(doing, err)
	}
	chunks := s.chunks(low, now)
	every := (len(chunks) + countChunks - 1) / countChunks
	sum, counted := int64(0), 0
	for i := 0; i < len(chunks); i += every {
		var n int64
		if err := s.read(ctx, countEvents, allShards, chunks[i], int64(low)).Scan(&n); err != nil {
			return 0, translate(doing, err)
		}
		sum += n
		counted++
	}
	return sum * int64(len(chunks)) / int64(max(1, counted)), nil
}

// removeEvents removes events, each partition's at once.
func (s *Store) removeEvents(ctx context.Context, ids []feed.PostID) error {
	type place struct {
		shard  int16
		bucket int64
	}
	at := map[place][]int64{}
	for _, id := range ids {
		shard, bucket := placeOf(id)
		at[place{shard, bucket}] = append(at[place{shard, bucket}], int64(id))
	}
	places := make([]place, 0, len(at))
	for p := range at {
		places = append(places, p)
	}
	return forEach(ctx, len(places), func(ctx context.Context, i int) error {
		p := places[i]
		stamp := stampOf(feed.PostID(slices.Max(at[p]))) + 1
		return s.write(ctx, removeEvents, stamp, p.shard, p.bucket, at[p])
	})
}

// dropFinished drops partitions in which nothing is left and nothing may come, a few
// at a time. The stamp is above that of every event that belongs there: one that
// arrives late all the same, unacknowledged, is not seen.
func (s *Store) dropFinished(ctx context.Context, alive []int64) error {
	s.outbox.mu.Lock()
	from, to := s.outbox.mu.dropped, bucketOf(s.outbox.mu.low)
	s.outbox.mu.Unlock()
	to = min(to, from+chunkBuckets)
	for b := from; b < to; b++ {
		stamp := firstOf(b + 1).Time().UnixMicro()
		err := forEach(ctx, shards, func(ctx context.Context, shard int) error {
			if !s.heir(shard, alive) {
				return nil
			}
			return s.write(ctx, `DELETE FROM outbox USING TIMESTAMP ? WHERE shard = ? AND bucket = ?`, stamp, int16(shard), b)
		})
		if err == nil && (b+1)%spanBuckets == 0 {
			err = s.write(ctx, `DELETE FROM outbox_spans USING TIMESTAMP ? WHERE one = 0 AND span = ?`, stamp, spanOf(b))
		}
		if err != nil {
			return err
		}
		s.outbox.mu.Lock()
		s.outbox.mu.dropped = max(s.outbox.mu.dropped, b+1)
		s.outbox.mu.Unlock()
	}
	return nil
}

func byID(a, b event) int { return cmp.Compare(a.Post, b.Post) }

// event is one of the outbox.
type event struct {
	storage.Event
	origin int64
	// doubtful: the rows of its post may not be there.
	doubtful bool
}
