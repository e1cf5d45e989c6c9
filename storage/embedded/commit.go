package embedded

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// batch is a Pebble batch whose writers need no error handling: Pebble reports
// none for building a batch, only for committing it.
type batch struct{ *pebble.Batch }

func (s *Store) batch() batch { return batch{s.db.NewBatch()} }

func (b batch) set(key, value []byte) { _ = b.Set(key, value, nil) }
func (b batch) remove(key []byte)     { _ = b.Delete(key, nil) }

// add adds n to a counter.
func (b batch) add(key []byte, n int64) { _ = b.Merge(key, encodeNumbers(uint64(n)), nil) }

// commit applies b and, when asked, waits until it is durable. It looks at the
// mark last: when Pebble cannot write it calls the logger's Fatalf, and if that
// returns it reports success.
func (s *Store) commit(b batch, opts *pebble.WriteOptions) error {
	defer b.Close()
	if err := s.failed(); err != nil {
		return err
	}
	if err := s.db.Apply(b.Batch, opts); err != nil {
		return err
	}
	return s.failed()
}

// show makes b visible and asks for its sync; persist must follow. Between the
// two the caller lets go of its locks.
func (s *Store) show(b batch) error {
	if err := s.failed(); err != nil {
		return err
	}
	if err := s.db.ApplyNoSyncWait(b.Batch, pebble.Sync); err != nil {
		return err
	}
	return s.failed()
}

// persist waits until a batch that was shown is durable.
func (s *Store) persist(b batch) error {
	if err := b.SyncWait(); err != nil {
		s.fail(err)
		return err
	}
	return errors.Join(b.Close(), s.failed())
}

// barrier waits until everything that this goroutine can have seen is durable.
// An empty record reaches the disk after all that was written before it.
func (s *Store) barrier() error {
	b := s.batch()
	_ = b.LogData(nil, nil)
	return s.commit(b, pebble.Sync)
}

// settled returns answer once what it was found from is durable: a crash must not
// make it untrue.
func (s *Store) settled(answer error) error {
	if err := s.barrier(); err != nil {
		return err
	}
	return answer
}

// lookup reads one row into use, which must not keep the value, and reports
// whether there was one.
func (s *Store) lookup(key []byte, use func(value []byte) error) (bool, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer closer.Close()
	return true, use(value)
}

// has reports whether a row exists.
func (s *Store) has(key []byte) (bool, error) {
	return s.lookup(key, func([]byte) error { return nil })
}

// lookupNumbers reads a row of n numbers; zeros when there is none.
func (s *Store) lookupNumbers(key []byte, n int) (ns [3]uint64, found bool, err error) {
	found, err = s.lookup(key, func(value []byte) (err error) {
		ns, err = numbers(key, value, n)
		return err
	})
	return ns, found, err
}

// scan calls use for each row from first up to before, in order, until it says
// stop. Keys and values live until use returns.
func (s *Store) scan(first, before []byte, use func(it *pebble.Iterator) (more bool, err error)) (err error) {
	if bytes.Compare(first, before) >= 0 {
		return nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: before})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		more, err := use(it)
		if err != nil || !more {
			return err
		}
	}
	return it.Error()
}
