package memory

import (
	"context"
	"slices"
	"time"

	"skein/feed"
	"skein/timeline"
)

// patience is how long a building is left to its builder.
const patience = time.Minute

// Create makes a timeline anew, being built.
func (s *Store) Create(_ context.Context, viewer feed.UserID, life uint64) (timeline.Token, bool, error) {
	if err := s.check("create a timeline"); err != nil {
		return 0, false, err
	}
	token, ok := s.create(viewer, life)
	s.evict(viewer)
	return token, ok, nil
}

func (s *Store) create(viewer feed.UserID, life uint64) (timeline.Token, bool) {
	st := &s.stripes[stripeOf(viewer)]
	now := s.enter(st)
	defer s.leave(st)
	if sl := st.find(viewer); sl != nil {
		if sl.state == timeline.Building && sl.Life == life && now-sl.begun < int64(patience) {
			return 0, false
		}
		st.release(viewer)
	}
	sl := st.add(viewer, now)
	sl.Life = life
	sl.Token = timeline.Token(s.serial.Add(1))
	sl.acts = s.serial.Add(1)
	return sl.Token, true
}

// Finish joins entries to a timeline being built and makes it live.
func (s *Store) Finish(_ context.Context, viewer feed.UserID, token timeline.Token, entries []timeline.Entry, bottom feed.PostID, followVersion uint64) (bool, error) {
	if err := s.check("finish a timeline"); err != nil {
		return false, err
	}
	return s.join(viewer, entries, func(sl *slot) bool {
		if sl.state != timeline.Building || sl.Token != token {
			return false
		}
		sl.FollowVersion = followVersion
		sl.Bottom = max(sl.Bottom, bottom)
		return true
	}), nil
}

// Fold joins entries to a live timeline and moves its follow version.
func (s *Store) Fold(_ context.Context, viewer feed.UserID, token timeline.Token, old, next uint64, entries []timeline.Entry) (bool, error) {
	if err := s.check("fold entries into a timeline"); err != nil {
		return false, err
	}
	return s.join(viewer, entries, func(sl *slot) bool {
		if sl.state != timeline.Live || sl.Token != token || sl.FollowVersion != old {
			return false
		}
		sl.FollowVersion = next
		return true
	}), nil
}

// join adds entries to a timeline, which is live then, if admit allows it; admit
// changes the header. A delivered entry stays delivered when it is also in
// entries. Sorting happens outside the lock.
func (s *Store) join(viewer feed.UserID, entries []timeline.Entry, admit func(*slot) bool) bool {
	rising := run(slices.Clone(entries))
	slices.SortFunc(rising, byID) // linear when the newest came first
	if !s.joinRising(viewer, rising, admit) {
		return false
	}
	s.evict(viewer)
	return true
}

func (s *Store) joinRising(viewer feed.UserID, rising run, admit func(*slot) bool) bool {
	st := &s.stripes[stripeOf(viewer)]
	s.enter(st)
	defer s.leave(st)
	sl := st.find(viewer)
	if sl == nil || !admit(sl) {
		return false
	}
	joined, bottom := s.limits.join(sl.entries, rising, sl.Bottom)
	st.setEntries(sl, joined, bottom)
	st.setState(sl, timeline.Live)
	return true
}

// Drop removes timelines.
func (s *Store) Drop(_ context.Context, viewers ...feed.UserID) error {
	if err := s.check("drop timelines"); err != nil {
		return err
	}
	for _, v := range viewers {
		st := &s.stripes[stripeOf(v)]
		s.enter(st)
		st.release(v)
		s.leave(st)
	}
	return nil
}
