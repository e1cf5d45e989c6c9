package redis

import (
	"context"
	"math/rand/v2"
	"time"

	"skein/feed"
	"skein/timeline"
)

// patience is how long a building is left to its builder, by the server's clock.
const patience = time.Minute

// Create makes a timeline anew, being built. The server itself stamps it.
func (s *Store) Create(ctx context.Context, viewer feed.UserID, life uint64) (timeline.Token, bool, error) {
	token := random63()
	ok, err := s.evalBool(ctx, viewer, createScript,
		number(token), number(life), number(random63()), s.opts.Idle.Milliseconds(), int(patience.Seconds()))
	if err != nil {
		return 0, false, unavailable("create a timeline", err)
	}
	if !ok {
		return 0, false, nil
	}
	return timeline.Token(token), true, nil
}

// Finish joins entries to a timeline being built and makes it live.
func (s *Store) Finish(ctx context.Context, viewer feed.UserID, token timeline.Token, entries []timeline.Entry, bottom feed.PostID, followVersion uint64) (bool, error) {
	ok, err := s.evalBool(ctx, viewer, finishScript,
		number(uint64(token)), packBottom(bottom), number(followVersion), s.opts.Cap, pack(nil, entries...))
	if err != nil {
		return false, unavailable("finish a timeline", err)
	}
	return ok, nil
}

// Fold joins entries to a live timeline and moves its follow version.
func (s *Store) Fold(ctx context.Context, viewer feed.UserID, token timeline.Token, old, next uint64, entries []timeline.Entry) (bool, error) {
	ok, err := s.evalBool(ctx, viewer, foldScript,
		number(uint64(token)), number(old), number(next), s.opts.Cap, pack(nil, entries...))
	if err != nil {
		return false, unavailable("fold entries into a timeline", err)
	}
	return ok, nil
}

// random63 draws a number that nobody drew before: tokens and acts must not come
// again after a restart either, which a counter in the server would let happen.
func random63() uint64 { return rand.Uint64N(1<<63-1) + 1 }

// evalBool runs a script on a viewer's timeline that answers 1 or 0.
func (s *Store) evalBool(ctx context.Context, viewer feed.UserID, script script, args ...any) (bool, error) {
	_, answer, err := s.eval(ctx, s.slotOf(viewer), script, s.key(viewer), args...)
	return answer == int64(1), err
}
