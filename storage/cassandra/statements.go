package cassandra

import (
	"context"
	"maps"
	"slices"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"skein/feed"
)

const (
	// atOnce bounds the statements that one call has under way.
	atOnce = 32
	// together is how many small rows one statement reads or writes where a call is
	// about thousands: a statement for each takes several times the processor time.
	// More than 5 KiB in one is what Cassandra warns of.
	together = 50
)

// repeatable returns a statement that may be run twice, also at once, and late: another
// node is asked if one does not answer. No lightweight transaction and no counter is.
func (s *Store) repeatable(ctx context.Context, cql string, args ...any) *gocql.Query {
	return s.session.Query(cql, args...).WithContext(ctx).Idempotent(true).SetSpeculativeExecutionPolicy(s.second)
}

// read returns a statement that only reads, at a quorum.
func (s *Store) read(ctx context.Context, cql string, args ...any) *gocql.Query {
	return s.repeatable(ctx, cql, args...)
}

// readSerial reads also what a lightweight transaction is about to commit.
func (s *Store) readSerial(ctx context.Context, cql string, args ...any) *gocql.Query {
	return s.read(ctx, cql, args...).Consistency(gocql.Consistency(s.settings.serial))
}

// write runs a statement that may be repeated, at a quorum.
func (s *Store) write(ctx context.Context, cql string, args ...any) error {
	return s.repeatable(ctx, cql, args...).Exec()
}

// writeMany writes n small rows, which add adds one by one, together of them in one
// request. Each row is written by itself: after an error some may be. It is for imports,
// whose requests may be slow without a node that hangs: no second node is asked.
func (s *Store) writeMany(ctx context.Context, kind gocql.BatchType, n int, add func(b *gocql.Batch, i int)) error {
	return forEach(ctx, (n+together-1)/together, func(ctx context.Context, part int) error {
		b := s.session.NewBatch(kind).WithContext(ctx)
		for i := part * together; i < min(n, (part+1)*together); i++ {
			add(b, i)
		}
		for i := range b.Entries {
			b.Entries[i].Idempotent = kind != gocql.CounterBatch
		}
		return s.session.ExecuteBatch(b)
	})
}

// numbersOf asks for a number of each id, together of them in one statement of the form
// SELECT id, number … WHERE id IN ?. Ids without a row are left out.
func (s *Store) numbersOf(ctx context.Context, cql string, ids []feed.UserID) (map[feed.UserID]int64, error) {
	parts := slices.Collect(slices.Chunk(ids, together))
	found := make([]map[feed.UserID]int64, len(parts))
	err := forEach(ctx, len(parts), func(ctx context.Context, i int) error {
		asked := make([]int64, len(parts[i]))
		for j, id := range parts[i] {
			asked[j] = int64(id)
		}
		found[i] = map[feed.UserID]int64{}
		var id, n int64
		return each(s.read(ctx, cql, asked), []any{&id, &n}, func() { found[i][feed.UserID(id)] = n })
	})
	all := map[feed.UserID]int64{}
	for _, some := range found {
		maps.Copy(all, some)
	}
	return all, err
}

// decide runs a lightweight transaction. If it was not applied, found holds the row
// that stood in its way. An error leaves open whether it was applied.
func (s *Store) decide(ctx context.Context, cql string, args ...any) (applied bool, found map[string]any, err error) {
	found = map[string]any{}
	applied, err = s.session.Query(cql, args...).WithContext(ctx).MapScanCAS(found)
	return applied, found, err
}

// decideAll runs one lightweight transaction of several statements on one partition.
func (s *Store) decideAll(ctx context.Context, add func(*gocql.Batch)) (applied bool, err error) {
	batch := s.session.NewBatch(gocql.UnloggedBatch).WithContext(ctx)
	add(batch)
	applied, iter, err := s.session.MapExecuteBatchCAS(batch, map[string]any{})
	if iter != nil {
		if closed := iter.Close(); err == nil {
			err = closed
		}
	}
	return applied && err == nil, err
}

// each scans all rows of a statement into dest, and calls row after each.
func each(q *gocql.Query, dest []any, row func()) error {
	iter := q.Iter()
	for iter.Scan(dest...) {
		row()
	}
	return iter.Close()
}

// forEach calls f for 0 to n-1, atOnce of them at a time, and returns the first error.
func forEach(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if n == 1 {
		return f(ctx, 0)
	}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		if working.Err() != nil {
			break
		}
		group.Go(func() error { return f(working, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
