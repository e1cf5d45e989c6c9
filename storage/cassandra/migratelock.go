package cassandra

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// lockTime is how long the lock of one who died stays; it is renewed before each
	// statement. lockEvery is how often others look.
	lockTime  = 60 * time.Second
	lockEvery = 200 * time.Millisecond
	// Another Migrate is waited for this long.
	migrateWait = 5 * time.Minute
)

// lock waits for the lock. It ends by itself lockTime after the last renewal. An error
// leaves open who has it, and the next look tells; it is returned if there was nothing
// else for lockTime.
func (m *migration) lock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migrateWait)
	defer cancel()
	again := time.NewTicker(lockEvery)
	defer again.Stop()
	answered := time.Now()
	for {
		ours, err := m.tryLock(ctx)
		if err == nil {
			answered = time.Now()
		}
		if ours || refused(err) || time.Since(answered) > lockTime {
			return err
		}
		m.after(stepLocked)
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("the lock is not to be had, another migration may hold it: %w", ctx.Err())
		}
	}
}

// tryLock takes the lock if nobody has it, and reports whether it is ours, also from an
// earlier try.
func (m *migration) tryLock(ctx context.Context) (ours bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	holds := map[string]any{}
	ours, err = m.session.Query(`INSERT INTO skein_lock (one, owner) VALUES (0, ?) IF NOT EXISTS USING TTL ?`, m.owner, int(lockTime/time.Second)).
		WithContext(ctx).MapScanCAS(holds)
	return ours || holds["owner"] == m.owner, err
}

func (m *migration) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout) // what is left of it is for the change
	defer cancel()
	ours, err := m.session.Query(`UPDATE skein_lock USING TTL ? SET owner = ? WHERE one = 0 IF owner = ?`, int(lockTime/time.Second), m.owner, m.owner).
		WithContext(ctx).MapScanCAS(map[string]any{})
	if err == nil && !ours {
		err = errors.New("the lock was lost, as this took too long; run it again")
	}
	return err
}

// unlock gives the lock back. After a change of the schema in doubt it is left to end by
// itself: another migration would make the same table while the first is still under
// way, and the one table would have two ids.
func (m *migration) unlock(ctx context.Context) {
	if m.inDoubt {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// If this fails the lock ends by itself.
	_, _ = m.session.Query(`DELETE FROM skein_lock WHERE one = 0 IF owner = ?`, m.owner).WithContext(ctx).MapScanCAS(map[string]any{})
}
