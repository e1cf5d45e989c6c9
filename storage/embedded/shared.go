package embedded

import (
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/feed/policy"
	"skein/storage"
)

// GetTiers implements storage.Shared. One iterator reads the head and the
// histories, so they are of one version.
func (s *Store) GetTiers(ctx context.Context, since storage.TierVersion) (storage.TierChanges, error) {
	const doing = "read the tiers"
	if err := s.enter(ctx, doing); err != nil {
		return storage.TierChanges{}, err
	}
	defer s.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: keyShared, UpperBound: sharedEnd})
	if err != nil {
		return storage.TierChanges{}, translate(doing, err)
	}
	defer it.Close()
	head := sharedHead{settings: policy.DefaultSettings}
	if it.First() && len(it.Key()) == len(keyShared) {
		if head, err = decodeSharedHead(it.Key(), it.Value()); err != nil {
			return storage.TierChanges{}, err
		}
	}
	changes := storage.TierChanges{
		Version:   head.version,
		Settings:  head.settings,
		Life:      head.life,
		Histories: map[feed.UserID]policy.History{},
	}
	first := allTierRows
	if since > 0 {
		first = nextKey(tableTiers, uint64(since))
	}
	for ok := it.SeekGE(first); ok; ok = it.Next() {
		author, history, err := decodeHistory(it.Key(), it.Value())
		if err != nil {
			return storage.TierChanges{}, err
		}
		changes.Histories[author] = history
	}
	return changes, translate(doing, it.Error())
}

// ChangeTier implements storage.Shared.
func (s *Store) ChangeTier(ctx context.Context, author feed.UserID, old, next policy.History) error {
	return s.changeShared(ctx, "change a tier", func(b batch, head *sharedHead) error {
		version, present, err := s.history(author)
		if err != nil {
			return err
		}
		if !slices.Equal(present, old) {
			return storage.ErrConflict
		}
		if len(next) == 0 || next[len(next)-1].From < feed.IDAt(s.clock().Add(policy.Lead)) {
			return feed.ErrLate
		}
		head.version++
		if version > 0 {
			b.remove(number(tableTiers, version))
		}
		b.set(number(tableTierVersions, author), encodeNumbers(uint64(head.version)))
		b.set(number(tableTiers, uint64(head.version)), encodeHistory(author, next))
		return nil
	})
}

// history returns an author's history and the version at which it changed last;
// 0 for one that never did.
func (s *Store) history(author feed.UserID) (version uint64, h policy.History, err error) {
	ns, found, err := s.lookupNumbers(number(tableTierVersions, author), 1)
	if err != nil || !found {
		return 0, nil, err
	}
	key := number(tableTiers, ns[0])
	found, err = s.lookup(key, func(value []byte) (err error) {
		_, h, err = decodeHistory(key, value)
		return err
	})
	if err == nil && !found {
		err = damaged(key)
	}
	return ns[0], h, err
}

// PutSettings implements storage.Shared.
func (s *Store) PutSettings(ctx context.Context, settings policy.Settings) error {
	return s.changeShared(ctx, "store the settings", func(_ batch, head *sharedHead) error {
		head.version++
		head.settings = settings
		return nil
	})
}

// BeginLife implements storage.Shared.
func (s *Store) BeginLife(ctx context.Context, old storage.Life) (present storage.Life, err error) {
	err = s.changeShared(ctx, "begin a life of the log", func(_ batch, head *sharedHead) error {
		if head.life == old {
			head.version++
			head.life++
		}
		present = head.life
		return nil
	})
	return present, err
}

// changeShared runs one read-check-write of the shared facts at a time, and
// returns when it is durable. An error of change leaves everything as it was.
func (s *Store) changeShared(ctx context.Context, doing string, change func(b batch, head *sharedHead) error) error {
	if err := s.enter(ctx, doing); err != nil {
		return err
	}
	defer s.leave()
	b := s.batch()
	if err := s.showShared(b, change); err != nil {
		if err == storage.ErrConflict || err == feed.ErrLate {
			return err
		}
		return translate(doing, err)
	}
	return translate(doing, s.persist(b))
}

func (s *Store) showShared(b batch, change func(b batch, head *sharedHead) error) error {
	s.shared.Lock()
	defer s.shared.Unlock()
	head := sharedHead{settings: policy.DefaultSettings}
	_, err := s.lookup(keyShared, func(value []byte) (err error) {
		head, err = decodeSharedHead(keyShared, value)
		return err
	})
	if err != nil {
		return err
	}
	if err := change(b, &head); err != nil {
		return err
	}
	b.set(keyShared, head.encode())
	return s.show(b)
}

// TokenKey implements storage.Shared. The key was made with the store.
func (s *Store) TokenKey(ctx context.Context) ([]byte, error) {
	if err := s.enter(ctx, "read the token key"); err != nil {
		return nil, err
	}
	defer s.leave()
	return slices.Clone(s.token), nil
}

// LogName implements storage.Shared.
func (s *Store) LogName(ctx context.Context) (name string, err error) {
	const doing = "read the log's name"
	if err := s.enter(ctx, doing); err != nil {
		return "", err
	}
	defer s.leave()
	_, err = s.lookup(keyLogName, func(value []byte) error {
		name = string(value)
		return nil
	})
	return name, translate(doing, err)
}

// SetLogName implements storage.Shared.
func (s *Store) SetLogName(ctx context.Context, name string) error {
	const doing = "store the log's name"
	if err := s.enter(ctx, doing); err != nil {
		return err
	}
	defer s.leave()
	b := s.batch()
	b.set(keyLogName, []byte(name))
	return translate(doing, s.commit(b, pebble.Sync))
}
