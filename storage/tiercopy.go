package storage

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

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

// refreshLimit bounds one question to storage: what comes later is too old to use.
const refreshLimit = policy.MaxAge

// TierCopy keeps a copy of the tiers in this process. Those who ask keep it fresh:
// one at a time asks storage while the others go on with the copy at hand, as long
// as that is no older than policy.MaxAge, and else wait for the same answer. The
// question is nobody's own: it runs in a goroutine, for refreshLimit at most, so that a caller who leaves takes it from nobody, and one without a
// deadline is not held by a storage that hangs.
type TierCopy struct {
	shared     Shared
	clock      feed.Clock
	view       atomic.Pointer[TierView] // of no age that is usable when there is none
	asking     singleflight.Group
	refreshing atomic.Bool // a refresh is under way
}

// NewTierCopy returns a copy that is loaded when it is first asked.
func NewTierCopy(shared Shared, clock feed.Clock) *TierCopy {
	c := &TierCopy{shared: shared, clock: clock}
	c.Forget()
	return c
}

// View returns a view that is at most policy.MaxAge old. When there is none and
// storage cannot be asked it returns feed.CodeUnavailable: then a planner stops.
func (c *TierCopy) View(ctx context.Context) (*TierView, error) {
	view := c.view.Load()
	age := c.age(view)
	if age < tierRefresh {
		return view, nil
	}
	if age < policy.MaxAge && c.refreshing.Load() {
		return view, nil // usable, and somebody refreshes it
	}
	asked := c.asking.DoChan("", func() (any, error) {
		c.refreshing.Store(true)
		defer c.refreshing.Store(false)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshLimit)
		defer cancel()
		return c.refresh(ctx)
	})
	select {
	case answer := <-asked:
		if answer.Err != nil {
			return nil, answer.Err
		}
		return answer.Val.(*TierView), nil
	case <-ctx.Done():
		return nil, feed.Unavailable("read the push/pull tiers", ctx.Err())
	}
}

// Forget makes the next View ask storage, as after a change that was lost. What is
// being asked already does not count.
func (c *TierCopy) Forget() {
	c.view.Store(&TierView{})
	c.asking.Forget("")
}

func (c *TierCopy) age(view *TierView) time.Duration { return c.clock().Sub(view.asked) }

func (c *TierCopy) refresh(ctx context.Context) (*TierView, error) {
	old := c.view.Load()
	if c.age(old) < tierRefresh {
		return old, nil // somebody else did it since we looked
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
	c.view.CompareAndSwap(old, view) // unless it was forgotten meanwhile
	return view, nil
}
