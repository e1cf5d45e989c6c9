package storage

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"skein/feed"
	"skein/feed/policy"
)

// tierRefresh is how often a TierCopy in use is brought up to date: well below
// policy.MaxAge, so that one slow refresh makes nobody wait.
const tierRefresh = policy.MaxAge / 2

// TierView is the tiers, the settings and the life of the log as they stood in
// storage at one moment. It is immutable.
type TierView struct {
	Settings policy.Settings
	Life     Life
	version  TierVersion
	// asked is when storage was asked: before it answered, so that the view is
	// at least as new.
	asked     time.Time
	histories map[feed.UserID]policy.History
}

// History returns the tier history of author; nil if it never was loud.
func (v *TierView) History(author feed.UserID) policy.History { return v.histories[author] }

// HasLoud reports whether any author ever was loud.
func (v *TierView) HasLoud() bool { return len(v.histories) > 0 }

// Version of the view: it changes when the view's contents do.
func (v *TierView) Version() TierVersion { return v.version }

// TierCopy keeps a copy of the tiers in this process. It starts no goroutine:
// those who ask keep it fresh, one at a time while the others go on with the copy
// at hand, as long as that is no older than policy.MaxAge.
type TierCopy struct {
	shared     Shared
	clock      feed.Clock
	view       atomic.Pointer[TierView]
	refreshing chan struct{} // held by the one who refreshes
}

// NewTierCopy returns a copy that is loaded when it is first asked.
func NewTierCopy(shared Shared, clock feed.Clock) *TierCopy {
	return &TierCopy{shared: shared, clock: clock, refreshing: make(chan struct{}, 1)}
}

// View returns a view that is at most policy.MaxAge old. When there is none and
// storage cannot be asked it returns feed.CodeUnavailable: then a planner stops.
func (c *TierCopy) View(ctx context.Context) (*TierView, error) {
	view := c.view.Load()
	age := c.age(view)
	if age < tierRefresh {
		return view, nil
	}
	if age < policy.MaxAge {
		// Usable: refresh it unless somebody does.
		select {
		case c.refreshing <- struct{}{}:
		default:
			return view, nil
		}
	} else {
		select {
		case c.refreshing <- struct{}{}:
		case <-ctx.Done():
			return nil, feed.Unavailable("read the push/pull tiers", ctx.Err())
		}
	}
	defer func() { <-c.refreshing }()
	return c.refresh(ctx)
}

// Forget makes the next View ask storage, as after a change that was lost.
func (c *TierCopy) Forget() { c.view.Store(nil) }

func (c *TierCopy) age(view *TierView) time.Duration {
	if view == nil {
		return policy.MaxAge
	}
	return c.clock().Sub(view.asked)
}

// refresh is called by the holder of refreshing.
func (c *TierCopy) refresh(ctx context.Context) (*TierView, error) {
	old := c.view.Load()
	if old == nil {
		old = &TierView{}
	} else if c.age(old) < tierRefresh {
		return old, nil // somebody else did it while we waited
	}
	asked := c.clock()
	changes, err := c.shared.GetTiers(ctx, old.version)
	if err != nil {
		if c.age(old) < policy.MaxAge {
			return old, nil
		}
		return nil, err
	}
	view := &TierView{
		Settings:  changes.Settings,
		Life:      changes.Life,
		version:   changes.Version,
		asked:     asked,
		histories: old.histories,
	}
	if len(changes.Histories) > 0 {
		view.histories = make(map[feed.UserID]policy.History, len(old.histories)+len(changes.Histories))
		maps.Copy(view.histories, old.histories)
		maps.Copy(view.histories, changes.Histories)
	}
	c.view.Store(view)
	return view, nil
}
