package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

// The lock of the shared facts: held by a change from before it looks at the
// clock until it is visible, shared by those who read. In the space of two
// numbers, apart from the posts' locks.
const (
	lockShared = `SELECT pg_advisory_xact_lock(739, 1)`
	readShared = `SELECT pg_advisory_xact_lock_shared(739, 1)`

	// getTiers is one statement: head and histories are of one snapshot.
	getTiers = `
SELECT s.version, s.life, s.mode, s.loud_at, t.author, t.froms, t.tiers
FROM shared AS s LEFT JOIN tiers AS t ON t.version > $1`
)

// GetTiers implements storage.Shared. It waits for a change that is about to
// commit: what it returns then holds that change, or was asked before the change
// looked at the clock. Both are in one batch, and so in one transaction.
func (s *Store) GetTiers(ctx context.Context, since storage.TierVersion) (storage.TierChanges, error) {
	changes := storage.TierChanges{Histories: map[feed.UserID]policy.History{}}
	batch := &pgx.Batch{}
	batch.Queue(readShared)
	batch.Queue(getTiers, int64(since)).Query(func(rows pgx.Rows) error {
		var version, life int64
		var mode *int16
		var loudAt, author *int64
		var froms []int64
		var tiers []int16
		_, err := pgx.ForEachRow(rows, []any{&version, &life, &mode, &loudAt, &author, &froms, &tiers}, func() error {
			changes.Version, changes.Life = storage.TierVersion(version), storage.Life(life)
			changes.Settings = settings(mode, loudAt)
			if author != nil {
				changes.Histories[feed.UserID(*author)] = history(froms, tiers)
			}
			return nil
		})
		return err
	})
	err := s.call(ctx, "read the tiers", func(ctx context.Context) error {
		return s.pool.SendBatch(ctx, batch).Close()
	})
	return changes, err
}

func settings(mode *int16, loudAt *int64) policy.Settings {
	if mode == nil || loudAt == nil {
		return policy.DefaultSettings
	}
	return policy.Settings{Mode: policy.Mode(*mode), LoudAt: *loudAt}
}

func history(froms []int64, tiers []int16) policy.History {
	h := make(policy.History, min(len(froms), len(tiers)))
	for i := range h {
		h[i] = policy.Change{From: feed.PostID(froms[i]), Tier: policy.Tier(tiers[i])}
	}
	return h
}

// ChangeTier implements storage.Shared.
func (s *Store) ChangeTier(ctx context.Context, author feed.UserID, old, next policy.History) error {
	if len(next) == 0 {
		return feed.ErrLate
	}
	return s.changeShared(ctx, "change a tier", func(ctx context.Context, tx pgx.Tx) error {
		var froms []int64
		var tiers []int16
		err := tx.QueryRow(ctx, `SELECT froms, tiers FROM tiers WHERE author = $1`, author).Scan(&froms, &tiers)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if !slices.Equal(history(froms, tiers), old) {
			return storage.ErrConflict
		}
		if err := putHistory(ctx, tx, author, next); err != nil {
			return err
		}
		// The last look at the clock, when all that is left is to commit.
		var late bool
		due := next[len(next)-1].From.Time().Add(-policy.Lead)
		if err := tx.QueryRow(ctx, `SELECT clock_timestamp() > $1`, due).Scan(&late); err != nil {
			return err
		}
		if late {
			return feed.ErrLate
		}
		return nil
	})
}

func putHistory(ctx context.Context, tx pgx.Tx, author feed.UserID, h policy.History) error {
	froms, tiers := make([]int64, len(h)), make([]int16, len(h))
	for i, c := range h {
		froms[i], tiers[i] = int64(c.From), int16(c.Tier)
	}
	_, err := tx.Exec(ctx, `
		WITH head AS (UPDATE shared SET version = version + 1 RETURNING version)
		INSERT INTO tiers SELECT $1, version, $2, $3 FROM head
		ON CONFLICT (author) DO UPDATE SET version = excluded.version, froms = excluded.froms, tiers = excluded.tiers`,
		author, froms, tiers)
	return err
}

// PutSettings implements storage.Shared.
func (s *Store) PutSettings(ctx context.Context, settings policy.Settings) error {
	return s.changeShared(ctx, "store the settings", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE shared SET version = version + 1, mode = $1, loud_at = $2`, int16(settings.Mode), settings.LoudAt)
		return err
	})
}

// BeginLife implements storage.Shared. It writes whether it changes anything or
// not: so the life that it returns is durable.
func (s *Store) BeginLife(ctx context.Context, old storage.Life) (storage.Life, error) {
	var present int64
	err := s.changeShared(ctx, "begin a life of the log", func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			UPDATE shared SET version = version + (life = $1)::int, life = life + (life = $1)::int
			RETURNING life`, int64(old)).Scan(&present)
	})
	return storage.Life(present), err
}

// changeShared runs one change of the shared facts at a time. So their versions
// become visible in the order in which they are given: who has read version n has
// read all that came before. An error of change leaves everything as it was.
func (s *Store) changeShared(ctx context.Context, doing string, change func(ctx context.Context, tx pgx.Tx) error) error {
	return s.call(ctx, doing, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, lockShared); err != nil {
				return err
			}
			return change(ctx, tx)
		})
	})
}

// TokenKey implements storage.Shared. Of several first callers one stores its key,
// and all return that.
func (s *Store) TokenKey(ctx context.Context) ([]byte, error) {
	var key []byte
	err := s.call(ctx, "read the token key", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, `SELECT token_key FROM shared`).Scan(&key)
		if err != nil || key != nil {
			return err
		}
		fresh := make([]byte, 32)
		rand.Read(fresh) // never fails: see crypto/rand
		return s.pool.QueryRow(ctx, `UPDATE shared SET token_key = coalesce(token_key, $1) RETURNING token_key`, fresh).Scan(&key)
	})
	if err != nil {
		return nil, err
	}
	return key, nil
}
