package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/storage"
)

const (
	// oldestEvent is a round trip of two snapshots: see the function.
	oldestEvent = `SELECT coalesce(oldest_event(), $1)`

	// takeEvents removes events until the transaction ends one way or the
	// other: till then others see them and cannot take them.
	takeEvents = `
DELETE FROM outbox WHERE post = ANY(ARRAY(
	SELECT post FROM outbox ORDER BY post LIMIT $1 FOR UPDATE SKIP LOCKED))
RETURNING post, author`

	// settleTimeout bounds the commit after a publish whose caller has left.
	settleTimeout = 5 * time.Second
)

// Relay implements storage.Outbox. A publish that takes longer than holdTimeout
// loses its hold: the events will be published again.
func (s *Store) Relay(ctx context.Context, limit int, publish func(oldest feed.PostID, events []storage.Event) error) (int, error) {
	const doing = "read the outbox"
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return 0, translate(doing, err)
	}
	// What was published is worth a commit, also when the caller has left.
	defer func() { s.settle(ctx, tx.Rollback) }()
	oldest, events, err := take(ctx, tx, limit)
	if err != nil {
		return 0, translate(doing, err)
	}
	if len(events) == 0 {
		return 0, nil
	}
	if err := publish(oldest, events); err != nil {
		return 0, err
	}
	if err := s.settle(ctx, tx.Commit); err != nil {
		return 0, translate("clear the outbox", err)
	}
	return len(events), nil
}

// settle ends a transaction, within a bound of its own.
func (s *Store) settle(ctx context.Context, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return end(ctx)
}

// take removes the lowest free events, for as long as the transaction lives. The
// oldest is asked before.
func take(ctx context.Context, tx pgx.Tx, limit int) (oldest feed.PostID, events []storage.Event, err error) {
	batch := &pgx.Batch{}
	// A removal that a crash undoes is repeated, so it need not wait for the
	// disk.
	batch.Queue(`SET LOCAL synchronous_commit = off`)
	batch.Queue(oldestEvent, feed.MaxPostID).QueryRow(func(row pgx.Row) error { return row.Scan((*int64)(&oldest)) })
	batch.Queue(takeEvents, limit).Query(func(rows pgx.Rows) error {
		var e storage.Event
		_, err := pgx.ForEachRow(rows, []any{(*int64)(&e.Post), (*int64)(&e.Author)}, func() error {
			events = append(events, e)
			return nil
		})
		return err
	})
	err = tx.SendBatch(ctx, batch).Close()
	slices.SortFunc(events, func(a, b storage.Event) int { return cmp.Compare(a.Post, b.Post) })
	return oldest, events, err
}

// OldestEvent implements storage.Outbox.
func (s *Store) OldestEvent(ctx context.Context) (feed.PostID, error) {
	var oldest int64
	err := s.pool.QueryRow(ctx, oldestEvent, feed.MaxPostID).Scan(&oldest)
	return feed.PostID(oldest), translate("read the outbox", err)
}

// countExactly is how many events are counted one by one; the fan-out asks often.
// Beyond it the server's running estimate does.
const countExactly = 100_000

// CountEvents implements storage.Outbox.
func (s *Store) CountEvents(ctx context.Context) (int64, error) {
	const doing = "count the outbox"
	var count int64
	err := s.pool.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS events`, countExactly).Scan(&count)
	if err == nil && count == countExactly {
		err = s.pool.QueryRow(ctx, `SELECT greatest($1, pg_stat_get_live_tuples('outbox'::regclass))`, countExactly).Scan(&count)
	}
	return count, translate(doing, err)
}
