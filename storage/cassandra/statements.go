package cassandra

import (
	"context"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"
)

// atOnce bounds the statements that one call has under way.
const atOnce = 32

// read returns a statement that only reads, at a quorum.
func (s *Store) read(ctx context.Context, cql string, args ...any) *gocql.Query {
	return s.session.Query(cql, args...).WithContext(ctx).Idempotent(true)
}

// readSerial reads also what a lightweight transaction is about to commit.
func (s *Store) readSerial(ctx context.Context, cql string, args ...any) *gocql.Query {
	return s.read(ctx, cql, args...).Consistency(gocql.Consistency(s.settings.serial))
}

// write runs a statement that may be repeated, at a quorum.
func (s *Store) write(ctx context.Context, cql string, args ...any) error {
	return s.session.Query(cql, args...).WithContext(ctx).Idempotent(true).Exec()
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
