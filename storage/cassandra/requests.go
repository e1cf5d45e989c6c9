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
	if s.late(post.ID) {
		return feed.Post{}, feed.ErrLate
	}
	for {
		ours, found, err := s.decide(ctx, `INSERT INTO requests (author, key, post, content) VALUES (?, ?, ?, ?) IF NOT EXISTS`,
			int64(post.Author), key, int64(post.ID), content)
		if err != nil {
			return feed.Post{}, err
		}
		if !ours {
			other, ok := found["post"].(int64)
			if was, _ := found["content"].([]byte); !ok || string(was) != string(content) {
				return feed.Post{}, feed.Exists("request id %q was used with other content", draft.RequestID)
			}
			made, err := s.fate(ctx, feed.PostID(other))
			if err != nil {
				return feed.Post{}, err
			}
			if made {
				post.ID = feed.PostID(other)
				return post, nil
			}
			ours, _, err = s.decide(ctx, `UPDATE requests SET post = ?, content = ? WHERE author = ? AND key = ? IF post = ?`,
				int64(post.ID), content, int64(post.Author), key, other)
			if err != nil {
				return feed.Post{}, err
			}
		}
		if ours {
			return post, s.createOwn(ctx, post, key)
		}
	}
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

// fate returns whether the post of an id in a key came to be; it waits while that is
// open. False is final: nothing will come of that id.
func (s *Store) fate(ctx context.Context, id feed.PostID) (made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, fatePatience)
	defer cancel()
	again := time.NewTicker(fateEvery)
	defer again.Stop()
	for {
		made, waiting, err := s.look(ctx, id)
		if made || err != nil {
			return made, err
		}
		// An event that is not there and whose id is this old can only come late, and
		// then asks what was decided.
		if !waiting && s.Now().After(id.Time().Add(settled)) {
			return s.settle(ctx, id, false)
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
