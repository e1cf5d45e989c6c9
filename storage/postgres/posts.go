package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"skein/feed"
	"skein/storage"
)

// CreatePost implements storage.Posts: one call of create_post, which is one
// transaction and one round trip.
func (s *Store) CreatePost(ctx context.Context, draft storage.Draft) (feed.Post, error) {
	post := draft.Post
	var key, content []byte
	if draft.RequestID != "" {
		key, content = keyOf(draft.RequestID), contentOf(post)
	}
	var same bool
	err := s.call(ctx, "create the post", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `SELECT post, same FROM create_post($1, $2, $3, $4, $5, $6, $7)`,
			draft.Post.ID, post.Author, []byte(post.Text), append([]byte{}, post.Payload...), key, content,
			draft.Post.ID.Time().Add(feed.MaxIDAge)).Scan(&post.ID, &same)
	})
	if err != nil {
		return feed.Post{}, err
	}
	if !same {
		return feed.Post{}, feed.Exists("request id %q was used with other content", draft.RequestID)
	}
	if key != nil && post.ID == draft.Post.ID {
		s.purgeSometimes(ctx, post.ID)
	}
	return post, nil
}

// deletePost removes a post, and its event unless a relay holds that. It returns
// whether it removed the post, and whose the post was when the statement began. A
// delete that loses against another waits for that one's commit, and removes
// nothing.
const deletePost = `
WITH gone AS (
	DELETE FROM posts WHERE id = $1 AND author = $2 RETURNING id
), event AS (
	DELETE FROM outbox WHERE post = (
		SELECT post FROM outbox WHERE post = (SELECT id FROM gone) FOR UPDATE SKIP LOCKED)
)
SELECT EXISTS (SELECT FROM gone), coalesce((SELECT author FROM posts WHERE id = $1), 0)`

// DeletePost implements storage.Posts.
func (s *Store) DeletePost(ctx context.Context, author feed.UserID, id feed.PostID) error {
	var removed bool
	var owner feed.UserID
	err := s.call(ctx, "delete the post", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, deletePost, id, author).Scan(&removed, &owner)
		if err != nil || removed {
			return err
		}
		return s.awaitStandbys(ctx) // that it is gone is durable
	})
	switch {
	case err != nil || removed:
		return err
	case owner != 0 && owner != author:
		return feed.Denied("post %d belongs to another author", id)
	}
	return feed.NotFound("there is no post %d", id)
}

// GetPosts implements storage.Posts.
func (s *Store) GetPosts(ctx context.Context, ids []feed.PostID) ([]feed.Post, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found := make(map[feed.PostID]feed.Post, len(ids))
	err := s.call(ctx, "read posts", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT id, author, text, payload FROM posts WHERE id = ANY($1)`, numbers(ids))
		if err != nil {
			return err
		}
		var p feed.Post
		var text []byte
		_, err = pgx.ForEachRow(rows, []any{(*int64)(&p.ID), (*int64)(&p.Author), &text, &p.Payload}, func() error {
			p.Text = string(text)
			found[p.ID] = p
			p.Payload = nil // the next row's is another
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	posts := make([]feed.Post, 0, len(found))
	for _, id := range ids {
		if post, ok := found[id]; ok {
			posts = append(posts, post)
		}
	}
	return posts, nil
}

// numbers are ids as the driver encodes them fastest.
func numbers[T ~int64](ids []T) []int64 {
	ns := make([]int64, len(ids))
	for i, id := range ids {
		ns[i] = int64(id)
	}
	return ns
}
