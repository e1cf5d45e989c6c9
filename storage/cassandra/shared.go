package cassandra

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

const (
	// pendingTime is for how long GetTiers waits for a change that is announced,
	// before it is called off. pendingEvery is how often it looks.
	pendingTime  = 300 * time.Millisecond
	pendingEvery = 5 * time.Millisecond

	// The row at the end of kind 1 is always there, so that the head comes with
	// every answer.
	getTiers = `
SELECT key, head, life, mode, loud_at, pending, author, froms, tiers FROM shared WHERE one = 0 AND kind = 1 AND key > ?`

	putEnd = `INSERT INTO shared (one, kind, key, version) VALUES (0, 1, ?, 0)`
)

// facts are the head of the shared facts. The zero value is that of a new keyspace.
type facts struct {
	head     *int64 // nil for none, as a condition wants it
	life     int64
	settings policy.Settings
	pending  *int64
}

func (f facts) next() int64 { return value(f.head) + 1 }

// readFacts reads the head, and of the histories what changed after since.
func (s *Store) readFacts(ctx context.Context, since storage.TierVersion) (f facts, changed map[feed.UserID]policy.History, err error) {
	f.settings = policy.DefaultSettings
	changed = map[feed.UserID]policy.History{}
	var key int64
	var life, loudAt, author *int64
	var mode *int16
	var froms []int64
	var tiers []int16
	from := min(int64(since), math.MaxInt64-1) // below the row at the end
	q := s.readSerial(ctx, getTiers, from)
	err = each(q, []any{&key, &f.head, &life, &mode, &loudAt, &f.pending, &author, &froms, &tiers}, func() {
		f.life = value(life)
		if mode != nil && loudAt != nil {
			f.settings = policy.Settings{Mode: policy.Mode(*mode), LoudAt: *loudAt}
		}
		if author != nil && key < math.MaxInt64 {
			changed[feed.UserID(*author)] = history(froms, tiers)
		}
	})
	return f, changed, err
}

func history(froms []int64, tiers []int16) policy.History {
	h := make(policy.History, min(len(froms), len(tiers)))
	for i := range h {
		h[i] = policy.Change{From: feed.PostID(froms[i]), Tier: policy.Tier(tiers[i])}
	}
	return h
}

// GetTiers implements storage.Shared. It waits for a change that is announced, and
// calls it off if that takes long: what it returns then holds that change, or was asked
// before the change looked at the clock, or the change will not come to be.
func (s *Store) GetTiers(ctx context.Context, since storage.TierVersion) (storage.TierChanges, error) {
	f, changed, err := s.calmFacts(ctx, since)
	if err != nil {
		return storage.TierChanges{}, translate("read the tiers", err)
	}
	return storage.TierChanges{
		Version: storage.TierVersion(value(f.head)), Settings: f.settings, Life: storage.Life(f.life), Histories: changed,
	}, nil
}

// calmFacts reads the facts while no change is announced.
func (s *Store) calmFacts(ctx context.Context, since storage.TierVersion) (facts, map[feed.UserID]policy.History, error) {
	deadline := time.Now().Add(pendingTime)
	again := time.NewTicker(pendingEvery)
	defer again.Stop()
	for {
		f, changed, err := s.readFacts(ctx, since)
		if err != nil || f.pending == nil {
			return f, changed, err
		}
		if time.Now().After(deadline) {
			if _, _, err := s.decide(ctx, `UPDATE shared SET pending = null WHERE one = 0 IF pending = ?`, *f.pending); err != nil {
				return f, nil, err
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return f, nil, ctx.Err()
		}
	}
}

// ChangeTier implements storage.Shared. The change is announced; then comes the last
// look at the clock; then the change, unless it was called off.
func (s *Store) ChangeTier(ctx context.Context, author feed.UserID, old, next policy.History) error {
	if len(next) == 0 {
		return feed.ErrLate
	}
	return s.changeShared(ctx, "change a tier", func(f facts) (bool, error) {
		was, version, err := s.readHistory(ctx, author)
		if err != nil {
			return false, err
		}
		if !slices.Equal(was, old) {
			return false, storage.ErrConflict
		}
		pending := mathrand.Int64()
		done, err := s.decideAll(ctx, func(b *gocql.Batch) {
			b.Query(`UPDATE shared SET pending = ? WHERE one = 0 IF head = ? AND pending = null`, pending, f.head)
			b.Query(putEnd, int64(math.MaxInt64))
		})
		if err != nil || !done {
			return false, err
		}
		s.after(stepAnnounced)
		if s.Now().After(next[len(next)-1].From.Time().Add(-policy.Lead)) {
			_, _, err := s.decide(ctx, `UPDATE shared SET pending = null WHERE one = 0 IF pending = ?`, pending)
			if err != nil {
				return false, err
			}
			return false, feed.ErrLate
		}
		return s.putHistory(ctx, f, pending, author, version, next)
	})
}

func (s *Store) readHistory(ctx context.Context, author feed.UserID) (h policy.History, version int64, err error) {
	var froms []int64
	var tiers []int16
	err = s.readSerial(ctx, `SELECT version, froms, tiers FROM shared WHERE one = 0 AND kind = 0 AND key = ?`, int64(author)).
		Scan(&version, &froms, &tiers)
	if errors.Is(err, gocql.ErrNotFound) {
		return nil, 0, nil
	}
	return history(froms, tiers), version, err
}

// putHistory makes an announced change.
func (s *Store) putHistory(ctx context.Context, f facts, pending int64, author feed.UserID, was int64, h policy.History) (bool, error) {
	froms, tiers := make([]int64, len(h)), make([]int16, len(h))
	for i, c := range h {
		froms[i], tiers[i] = int64(c.From), int16(c.Tier)
	}
	const put = `INSERT INTO shared (one, kind, key, author, version, froms, tiers) VALUES (0, ?, ?, ?, ?, ?, ?)`
	return s.decideAll(ctx, func(b *gocql.Batch) {
		b.Query(`UPDATE shared SET head = ?, pending = null WHERE one = 0 IF head = ? AND pending = ?`, f.next(), f.head, pending)
		b.Query(put, int8(0), int64(author), int64(author), f.next(), froms, tiers)
		b.Query(put, int8(1), f.next(), int64(author), f.next(), froms, tiers)
		if was > 0 {
			b.Query(`DELETE FROM shared WHERE one = 0 AND kind = 1 AND key = ?`, was)
		}
	})
}

// PutSettings implements storage.Shared.
func (s *Store) PutSettings(ctx context.Context, settings policy.Settings) error {
	return s.changeShared(ctx, "store the settings", func(f facts) (bool, error) {
		return s.decideAll(ctx, func(b *gocql.Batch) {
			b.Query(`UPDATE shared SET head = ?, mode = ?, loud_at = ? WHERE one = 0 IF head = ?`,
				f.next(), int16(settings.Mode), settings.LoudAt, f.head)
			b.Query(putEnd, int64(math.MaxInt64))
		})
	})
}

// BeginLife implements storage.Shared.
func (s *Store) BeginLife(ctx context.Context, old storage.Life) (present storage.Life, err error) {
	err = s.changeShared(ctx, "begin a life of the log", func(f facts) (bool, error) {
		present = storage.Life(f.life)
		if present != old {
			return true, nil
		}
		present++
		return s.decideAll(ctx, func(b *gocql.Batch) {
			b.Query(`UPDATE shared SET head = ?, life = ? WHERE one = 0 IF head = ?`, f.next(), int64(present), f.head)
			b.Query(putEnd, int64(math.MaxInt64))
		})
	})
	return present, err
}

// changeShared tries a change, of this process one at a time, until it is made under
// the condition that the facts are those that it knew.
func (s *Store) changeShared(ctx context.Context, doing string, change func(facts) (done bool, err error)) error {
	if err := s.facts.take(ctx); err != nil {
		return translate(doing, err)
	}
	defer s.facts.give()
	for range maxTries {
		f, _, err := s.calmFacts(ctx, math.MaxInt64)
		if err != nil {
			return translate(doing, err)
		}
		if done, err := change(f); err != nil || done {
			return translate(doing, err)
		}
	}
	return feed.Unavailable(doing, errors.New("others keep changing the shared facts"))
}

// TokenKey implements storage.Shared. Of several first callers one stores its key,
// and all return that.
func (s *Store) TokenKey(ctx context.Context) ([]byte, error) {
	const doing = "read the token key"
	for {
		var key []byte
		err := s.readSerial(ctx, `SELECT token_key FROM shared WHERE one = 0 LIMIT 1`).Scan(&key)
		if err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return nil, translate(doing, err)
		}
		if len(key) > 0 {
			return key, nil
		}
		key = make([]byte, 32)
		rand.Read(key) // never fails: see crypto/rand
		if _, _, err := s.decide(ctx, `UPDATE shared SET token_key = ? WHERE one = 0 IF token_key = null`, key); err != nil {
			return nil, translate(doing, err)
		}
	}
}
