package cassandra

import (
	"context"
	"errors"
	"time"

	"github.com/gocql/gocql"

	"skein/feed"
	"skein/storage"
)

const (
	insertEvent = `
INSERT INTO outbox (shard, bucket, post, author, origin, text, payload) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`

	insertPost = `
INSERT INTO posts (id, author, text, payload) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`

	insertOfAuthor = `
INSERT INTO posts_by_author (author, bucket, post, text, payload) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?`

	deletePost     = `DELETE FROM posts USING TIMESTAMP ? WHERE id = ?`
	deleteOfAuthor = `DELETE FROM posts_by_author USING TIMESTAMP ? WHERE author = ? AND bucket = ? AND post = ?`
)

// stampOf is the stamp of all that is written of a post, by whoever and how often. What
// removes it is stamped one above.
func stampOf(id feed.PostID) int64 { return id.Time().UnixMicro() }

// late reports whether an id is too old to commit at now.
func late(id feed.PostID, now time.Time) bool { return now.After(id.Time().Add(feed.MaxIDAge)) }

// CreatePost implements storage.Posts.
func (s *Store) CreatePost(ctx context.Context, draft storage.Draft) (feed.Post, error) {
	const doing = "create the post"
	if draft.RequestID != "" {
		post, err := s.createKeyed(ctx, draft)
		return post, translate(doing, err)
	}
	if err := s.create(ctx, draft.Post); err != nil {
		return feed.Post{}, translate(doing, err)
	}
	return draft.Post, nil
}

// create writes the event, looks at the id's age, and writes the post. After an error
// other than feed.ErrLate the event may be there; the relay then completes it.
func (s *Store) create(ctx context.Context, post feed.Post) (err error) {
	if late(post.ID, s.Now()) {
		return feed.ErrLate
	}
	if err := s.announce(ctx, post.ID); err != nil {
		return err
	}
	s.outbox.begin(post.ID)
	whole := false
	defer func() { s.outbox.end(post.ID, whole) }()
	if err := s.writeEvent(ctx, post); err != nil {
		return err
	}
	s.after(stepEvent)
	// From here on OldestEvent counts the post. The bucket is that of the id, so while
	// the id is young the bucket is open: was it, when the event was written? This
	// process may have slept, and its clock with it.
	now, err := s.askClock(ctx)
	if err != nil {
		return err
	}
	if late(post.ID, now) {
		if err := s.takeBack(ctx, post.ID); err != nil {
			return err
		}
	}
	if err := s.writePost(ctx, post); err != nil {
		return err
	}
	s.after(stepPost)
	whole = true
	return nil
}

func (s *Store) writeEvent(ctx context.Context, post feed.Post) error {
	shard, bucket := placeOf(post.ID)
	return s.write(ctx, insertEvent, shard, bucket, int64(post.ID), int64(post.Author), s.origin,
		[]byte(post.Text), append([]byte{}, post.Payload...), stampOf(post.ID))
}

// writePost writes both rows of a post, for the first time or again.
func (s *Store) writePost(ctx context.Context, post feed.Post) error {
	text, payload := []byte(post.Text), append([]byte{}, post.Payload...) // empty, never null
	return forEach(ctx, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			return s.write(ctx, insertPost, int64(post.ID), int64(post.Author), text, payload, stampOf(post.ID))
		}
		return s.write(ctx, insertOfAuthor, int64(post.Author), bucketOfAuthor(post.ID), int64(post.ID), text, payload, stampOf(post.ID))
	})
}

// takeBack decides that a post which is late does not come to be, and returns
// feed.ErrLate; or nil if a relay has decided that it does.
func (s *Store) takeBack(ctx context.Context, id feed.PostID) error {
	complete, err := s.settle(ctx, id, false)
	if err != nil || complete {
		return err
	}
	// It is decided; whoever meets the event will remove it.
	_ = s.removeEvents(ctx, []feed.PostID{id})
	return feed.ErrLate
}

// settle decides once whether an event whose post nobody has seen is completed, and
// returns what was decided, now or before.
func (s *Store) settle(ctx context.Context, id feed.PostID, complete bool) (bool, error) {
	applied, found, err := s.decide(ctx, `INSERT INTO decisions (post, complete) VALUES (?, ?) IF NOT EXISTS`, int64(id), complete)
	if err != nil {
		return false, err
	}
	if !applied {
		complete, _ = found["complete"].(bool)
	}
	return complete, nil
}

// DeletePost implements storage.Posts. The post's row is deleted for good: a stamp
// above that of the post outlasts every late write of it.
func (s *Store) DeletePost(ctx context.Context, author feed.UserID, id feed.PostID) error {
	const doing = "delete the post"
	var owner int64
	err := s.read(ctx, `SELECT author FROM posts WHERE id = ?`, int64(id)).Scan(&owner)
	switch {
	case errors.Is(err, gocql.ErrNotFound):
		return feed.NotFound("there is no post %d", id)
	case err != nil:
		return translate(doing, err)
	case feed.UserID(owner) != author:
		return feed.Denied("post %d belongs to another author", id)
	}
	first, _, err := s.decide(ctx, `INSERT INTO deletes (post, done) VALUES (?, true) IF NOT EXISTS`, int64(id))
	if err != nil {
		return translate(doing, err)
	}
	// Whoever was first may have died: who comes later deletes as well.
	if err := s.removePost(ctx, author, id); err != nil {
		return translate(doing, err)
	}
	if !first {
		return feed.NotFound("there is no post %d", id)
	}
	return nil
}

// removePost removes all that is written of a post. The row by its id goes last, alone:
// a delete begins with it, so while it is there, one that was cut off can be done again.
func (s *Store) removePost(ctx context.Context, author feed.UserID, id feed.PostID) error {
	stamp := stampOf(id) + 1
	err := forEach(ctx, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			return s.write(ctx, deleteOfAuthor, stamp, int64(author), bucketOfAuthor(id), int64(id))
		}
		return s.removeEvents(ctx, []feed.PostID{id})
	})
	if err != nil {
		return err
	}
	s.after(stepUnlisted)
	return s.write(ctx, deletePost, stamp, int64(id))
}

// GetPosts implements storage.Posts: one statement for each id, to the node that has it.
func (s *Store) GetPosts(ctx context.Context, ids []feed.PostID) ([]feed.Post, error) {
	found := make([]feed.Post, len(ids))
	err := forEach(ctx, len(ids), func(ctx context.Context, i int) error {
		var text []byte
		p := feed.Post{ID: ids[i]}
		err := s.read(ctx, `SELECT author, text, payload FROM posts WHERE id = ?`, int64(ids[i])).
			Scan((*int64)(&p.Author), &text, &p.Payload)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		p.Text = string(text)
		found[i] = p
		return err
	})
	if err != nil {
		return nil, translate("read posts", err)
	}
	posts := found[:0]
	for _, p := range found {
		if p.ID != 0 {
			posts = append(posts, p)
		}
	}
	return posts, nil
}
