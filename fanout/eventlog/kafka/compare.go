package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"skein/fanout/eventlog"
	"skein/feed"
)

// position is how far a group got in a partition. A broker that loses the end of a
// partition (records that no disk had yet) may have it grown again beyond what a
// group had committed before anybody asks. So a commit bears, as its metadata, the
// fingerprint of the last record that it covers.
type position struct {
	offset int64  // none: the group has committed nothing
	print  string // of the record before offset; "" where nobody knows
}

// fingerprint tells apart the records that a partition may have at one offset. It
// must not change: commits keep it.
func fingerprint(r *eventlog.Record) string {
	var h xxhash.Digest
	h.Reset()
	b := binary.BigEndian.AppendUint64(nil, uint64(r.AppendTime.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Post))
	b = binary.BigEndian.AppendUint64(b, uint64(len(r.Key)))
	for _, part := range [][]byte{b, r.Key, r.Value} {
		_, _ = h.Write(part) // never fails
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// holds reports whether the record before a position is still the one that it
// speaks of. Where retention has removed it nobody can tell, and it is taken for
// that one.
func (l *Log) holds(ctx context.Context, t *topic, partition int, p position) (bool, error) {
	if p.offset < 1 || p.print == "" {
		return true, nil
	}
	records, err := l.read(ctx, t, partition, p.offset-1, 1)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		first, err := l.ends(ctx, t, kafka.FirstOffset)
		return err == nil && first[partition] >= p.offset, err
	}
	if err != nil {
		return false, err
	}
	if len(records) == 0 { // a new leader may not know yet that the others have it
		return false, feed.Unavailable("compare a commit with topic "+t.name, errors.New("its record is not readable yet"))
	}
	return records[0].Offset >= p.offset || fingerprint(&records[0]) == p.print, nil
}

// checks remembers for each group when all that it had committed was found to hold.
type checks struct {
	mu    sync.Mutex
	since map[string]moment
}

// lost reports, by partition, where what a group committed does not hold. It looks
// only if it has reason to doubt, and now and then, as a member may commit what it
// had read before a loss and die before it compares.
func (l *Log) lost(ctx context.Context, t *topic, group string, committed []position) ([]bool, error) {
	c, now, lost := &t.checks, l.now(), make([]bool, len(committed))
	c.mu.Lock()
	since := c.since[group]
	c.mu.Unlock()
	if !l.doubtful(since, checkEvery) {
		return lost, nil
	}
	asking, ctx := errgroup.WithContext(ctx)
	for i, p := range committed {
		asking.Go(func() error {
			holds, err := l.holds(ctx, t, i, p)
			lost[i] = !holds
			return err
		})
	}
	if err := asking.Wait(); err != nil || slices.Contains(lost, true) {
		return lost, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil {
		c.since = map[string]moment{}
	}
	c.since[group] = now
	return lost, nil
}

const (
	// silence is how long a member need not have heard of Kafka to doubt: less than
	// any broker takes to come back without its last records, or another to stand in.
	silence = time.Second
	// checkEvery is how often Pending compares without a reason.
	checkEvery = 10 * time.Second
)

// moment is when something was known to hold, and how many requests had failed by
// then. Records are not lost unless a broker fails, and that makes requests fail.
type moment struct {
	at       time.Time
	failures uint64
}

// now is to be called before Kafka is asked.
func (l *Log) now() moment { return moment{time.Now(), l.failures.Load()} }

// doubtful reports whether Kafka may have lost records since a moment, or the moment
// is longer ago than limit.
func (l *Log) doubtful(since moment, limit time.Duration) bool {
	return since.failures != l.failures.Load() || time.Since(since.at) > limit
}
