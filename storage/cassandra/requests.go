package cassandra

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
	"skein/storage"
)

const (
	// fateEvery is how often a call looks what became of the post for which its key
	// stands, while another call makes it.
	fateEvery = 10 * time.Millisecond
	// fatePatience is for how long: a dead process's event is completed by then, or
	// its key free.
	fatePatience = presenceTime + settled + 5*time.Second
)

// keyOf is what is stored of a request id: of one length, whatever it holds.
func keyOf(requestID string) []byte {
	sum := sha256.Sum256([]byte(requestID))
	return sum[:16]
}

// contentOf is a hash of what was posted.
func contentOf(p feed.Post) []byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p.Text))))
	h.Write([]byte(p.Text))
	h.Write(p.Payload)
	return h.Sum(nil)[:16]
}

// createKeyed creates the post for which its key stands, or returns the one that an
// earlier call with the same key made. An id in the key of which nothing came to be is
// replaced.
func (s *Store) createKeyed(ctx context.Context, draft storage.Draft) (feed.Post, error) {
	post, key, content := draft.Post, keyOf(draft.RequestID), contentOf(draft.Post)
	if late(post.ID, s.Now()) {
		return feed.Post{}, feed.ErrLate
	}
	for range maxTries {
		stands, err := s.reserve(ctx, draft, content)
		if err != nil {
			return feed.Post{}, err
		}
		if stands == post.ID {
			return post, s.createOwn(ctx, post, key)
		}
		made, err := s.fate(ctx, stands)
		if err != nil {
			return feed.Post{}, err
		}
		if made {
			post.ID = stands
			return post, nil
		}
		// Whether this was applied, the next look at the key tells.
		_, _, err = s.decide(ctx, `UPDATE requests SET post = ?, content = ? WHERE author = ? AND key = ? IF post = ?`,
			int64(post.ID), content, int64(post.Author), key, int64(stands))
		if err != nil && ctx.Err() != nil {
			return feed.Post{}, err
		}
	}
	return feed.Post{}, errors.New("others keep changing for which post the request id stands")
}

// reserve returns the id for which a key stands, which is the draft's if no other came
// before. If it stays unknown whether that was written it is tried once more: a key that
// stands for a post that nobody makes would hold up every retry.
func (s *Store) reserve(ctx context.Context, draft storage.Draft, content []byte) (feed.PostID, error) {
	put := func() (bool, map[string]any, error) {
		return s.decide(ctx, `INSERT INTO requests (author, key, post, content) VALUES (?, ?, ?, ?) IF NOT EXISTS`,
			int64(draft.Post.Author), keyOf(draft.RequestID), int64(draft.Post.ID), content)
	}
	ours, found, err := put()
	if err != nil && ctx.Err() == nil {
		ours, found, err = put()
	}
	if err != nil || ours {
		return draft.Post.ID, err
	}
	stands, ok := found["post"].(int64)
	if was, _ := found["content"].([]byte); !ok || string(was) != string(content) {
		return 0, feed.Exists("request id %q was used with other content", draft.RequestID)
	}
	return feed.PostID(stands), nil
}

// createOwn creates the post for which the key now stands. A late one gives the key
// back.
func (s *Store) createOwn(ctx context.Context, post feed.Post, key []byte) error {
	err := s.create(ctx, post)
	if !errors.Is(err, feed.ErrLate) {
		return err
	}
	_, _, freeErr := s.decide(ctx, `DELETE FROM requests WHERE author = ? AND key = ? IF post = ?`, int64(post.Author), key, int64(post.ID))
	if freeErr != nil {
		return freeErr
	}
	return err
}

// old reports whether no event can come of an id any more but a late one.
func old(id feed.PostID, now time.Time) bool { return now.After(id.Time().Add(settled)) }

// fate returns whether the post of an id in a key came to be. It waits while that is
// open, and completes an event that waits for metTime, as a relay does. False is final:
// nothing will come of that id.
//
// What comes of an old one is decided only after a look that began when Cassandra's clock
// had called it old: an event written before that look is seen by it, and one written
// later finds itself late by its creator's own question, and asks what was decided. The
// look before would not do: this process may have slept since, while the post was made.
func (s *Store) fate(ctx context.Context, id feed.PostID) (made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, fatePatience)
	defer cancel()
	again := time.NewTicker(fateEvery)
	defer again.Stop()
	var met time.Time
	isOld := false // Cassandra's clock said so, before this look
	for {
		made, waiting, err := s.look(ctx, id)
		if made || err != nil {
			return made, err
		}
		s.after(stepLooked)
		switch {
		case waiting && met.IsZero():
			met = time.Now()
		case waiting && time.Since(met) >= metTime:
			// Nobody finishes it. The relays may have a long way to go until they come here.
			if made, err := s.completeOne(ctx, id, func(feed.PostID) bool { return true }); made || err != nil {
				return made, err
			}
		case !waiting && isOld:
			// If it is decided that the post comes to be, its event was met meanwhile.
			if complete, err := s.settle(ctx, id, false); err != nil || !complete {
				return false, err
			}
		case !waiting && old(id, s.Now()):
			now, err := s.askClock(ctx)
			if err != nil {
				return false, err
			}
			if isOld = old(id, now); isOld {
				continue
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// look returns whether a post was made, and whether its event waits. The order matters:
// an event that was removed had its post written before, and a post that was deleted is
// among the deletes before it is gone.
func (s *Store) look(ctx context.Context, id feed.PostID) (made, waiting bool, err error) {
	shard, bucket := placeOf(id)
	var n int64
	found := [3]bool{}
	for i, q := range []*gocql.Query{
		s.read(ctx, `SELECT post FROM outbox WHERE shard = ? AND bucket = ? AND post = ?`, shard, bucket, int64(id)),
		s.read(ctx, `SELECT author FROM posts WHERE id = ?`, int64(id)),
		s.readSerial(ctx, `SELECT post FROM deletes WHERE post = ?`, int64(id)),
	} {
		err := q.Scan(&n)
		if err != nil && !errors.Is(err, gocql.ErrNotFound) {
			return false, false, err
		}
		found[i] = err == nil
		if i > 0 && found[i] {
			return true, found[0], nil
		}
	}
	return false, found[0], nil
}
