package storage

import (
	"context"
	"errors"

	"skein/feed"
	"skein/feed/policy"
)

// ErrConflict is returned by ChangeTier when the history is no longer the one
// that the caller knew.
var ErrConflict = errors.New("the tier history has changed")

// TierVersion counts the changes of tiers, settings and life; 0 is before the
// first.
type TierVersion uint64

// Life numbers the lives of the event log. When the log turns out to have lost
// events that were not handled, a new life begins and every timeline built in an
// earlier one counts as absent.
type Life uint64

// TierChanges is what changed after a version.
type TierChanges struct {
	// Version is the one reached; pass it to the next call.
	Version  TierVersion
	Settings policy.Settings
	Life     Life
	// Histories holds the whole history of each author for whom it changed.
	Histories map[feed.UserID]policy.History
}

// Shared keeps the facts that all processes must agree on.
type Shared interface {
	// GetTiers returns what changed after since; everything for 0. It reads
	// where changes are committed.
	GetTiers(ctx context.Context, since TierVersion) (TierChanges, error)

	// ChangeTier replaces author's history old by next, which has a change
	// more.
	//
	// ErrConflict: the history is not old any more; read again.
	// feed.ErrLate: when it would commit, the new change lies less than
	// policy.Lead ahead of now; nothing was changed.
	ChangeTier(ctx context.Context, author feed.UserID, old, next policy.History) error

	// PutSettings replaces the push/pull settings. Before the first call they
	// are policy.DefaultSettings.
	PutSettings(ctx context.Context, settings policy.Settings) error

	// BeginLife starts a new life of the event log, if the present one is still
	// old, and returns the present one.
	BeginLife(ctx context.Context, old Life) (Life, error)

	// LogName returns the name of the event log that gets this storage's events, ""
	// before the first SetLogName. A process with another log would take events
	// where nobody delivers them.
	LogName(ctx context.Context) (string, error)

	// SetLogName names it, for all processes.
	SetLogName(ctx context.Context, name string) error

	// TokenKey returns the 32 secret bytes under which page tokens are signed:
	// made at random by the first caller, the same for all callers for ever.
	TokenKey(ctx context.Context) ([]byte, error)
}
