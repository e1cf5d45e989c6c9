package cassandra

import (
	"cmp"
	"context"
	"errors"
	"maps"
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
	// countBuckets are counted; of more, so many.
	countBuckets = 16
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
	// not be written again. Of those in buckets below wholeFrom none is kept: others
	// relayed them.
	creating, whole map[feed.PostID]struct{}
	wholeFrom       int64
	// held are being published here; gone were removed while a relay read.
	held, gone map[feed.PostID]struct{}
	// met is when an event was first seen without its post.
	met map[feed.PostID]time.Time
	// low: no event is below it, nor will be. dropped: buckets below it are.
	low     feed.PostID
	dropped int64
	// wrote are the shards in which this process wrote events.
	wrote  [shards]bool
	others strangers
}

// strangers is where a look at the outbox need not begin: for a while, and among the
// same processes, the events below are others' to relay.
type strangers struct {
	below feed.PostID
	among []int64
	until time.Time
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
	o.mu.wrote[shard] = true
}

func (o *outbox) end(id feed.PostID, whole bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.creating, id)
	if !whole {
		return
	}
	if from := bucketOf(o.mu.low); len(o.mu.whole) >= maxWhole && from > o.mu.wholeFrom {
		o.mu.wholeFrom = from
		maps.DeleteFunc(o.mu.whole, func(id feed.PostID, _ struct{}) bool { return id < o.mu.low })
	}
	if len(o.mu.whole) < maxWhole {
		o.mu.whole[id] = struct{}{}
	}
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
	chunks, err := s.chunks(ctx, low, asked)
	if err != nil {
		return 0, err
	}
	for _, buckets := range chunks {
		least, err := s.least(ctx, buckets, low)
		if err != nil {
			return 0, err
		}
		if len(least) > 0 {
			s.passed(least[0], asked)
			return least[0], nil
		}
		s.passed(firstOf(buckets[len(buckets)-1]+1), asked)
		s.after(stepEmpty)
	}
	return feed.MaxPostID, nil
}

// passed keeps that no event is below an id. Those of ids that are not settled may come.
func (s *Store) passed(id feed.PostID, asked time.Time) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	s.outbox.mu.low = max(s.outbox.mu.low, min(id, feed.IDAt(asked.Add(-settled))))
}

// least returns the least event of each partition of some buckets, ascending.
func (s *Store) least(ctx context.Context, buckets []int64, from feed.PostID) (least []feed.PostID, err error) {
	var id int64
	err = each(s.read(ctx, leastEvents, allShards, buckets, int64(from)), []any{&id}, func() { least = append(least, feed.PostID(id)) })
	slices.Sort(least)
	return least, err
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

// buckets are those from an id to the present that may hold events: of a long time only
// those whose span is registered, which is done before its first event is written.
func (s *Store) buckets(ctx context.Context, from feed.PostID, now time.Time) (all []int64, err error) {
	first, open := bucketOf(from), bucketOf(feed.IDAt(now.Add(-settled)))
	long := open-first > spanBuckets
	registered := map[int64]bool{}
	if long {
		var span int64
		err := each(s.read(ctx, `SELECT span FROM outbox_spans WHERE one = 0`), []any{&span}, func() { registered[span] = true })
		if err != nil {
			return nil, err
		}
	}
	for b := first; b <= bucketOf(feed.IDAt(now.Add(aheadEvents))); b++ {
		if !long || b >= open || registered[spanOf(b)] {
			all = append(all, b)
		}
	}
	return all, nil
}

// chunks are the same, a few at a time.
func (s *Store) chunks(ctx context.Context, from feed.PostID, now time.Time) ([][]int64, error) {
	all, err := s.buckets(ctx, from, now)
	return slices.Collect(slices.Chunk(all, chunkBuckets)), err
}

// CountEvents implements storage.Outbox. A long backlog is estimated from a part of its
// buckets.
func (s *Store) CountEvents(ctx context.Context) (int64, error) {
	const doing = "count the outbox"
	oldest, err := s.oldestEvent(ctx)
	if err != nil || oldest == feed.MaxPostID {
		return 0, translate(doing, err)
	}
	all, err := s.buckets(ctx, oldest, s.Now())
	if err != nil {
		return 0, translate(doing, err)
	}
	var some []int64
	for i := 0; i < len(all); i += (len(all) + countBuckets - 1) / countBuckets {
		some = append(some, all[i])
	}
	var n int64
	if err := s.read(ctx, countEvents, allShards, some, int64(oldest)).Scan(&n); err != nil {
		return 0, translate(doing, err)
	}
	return n * int64(len(all)) / int64(len(some)), nil
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
