package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"skein/feed"
	"skein/storage"
)

// CreatePost implements storage.Posts.
func (s *Store) CreatePost(ctx context.Context, draft storage.Draft) (feed.Post, error) {
	const doing = "create the post"
	if err := s.enter(ctx, doing); err != nil {
		return feed.Post{}, err
	}
	defer s.leave()
	if draft.RequestID == "" {
		return s.create(draft.Post, nil)
	}
	return s.createOnce(ctx, draft)
}

// create writes a new post, and its idempotency key when there is one. Once
// begun it does not stop for a context: the outcome of a write must be known to
// those who wait for the same key.
func (s *Store) create(post feed.Post, key *requestRow) (feed.Post, error) {
	const doing = "create the post"
	if s.late(post.ID) {
		return feed.Post{}, feed.ErrLate
	}
	s.outbox.begin(post.ID)
	defer s.outbox.end(post.ID)

	b := s.batch()
	b.set(eventKey(post.ID), encodePost(post))
	key.put(b)
	if err := s.commit(b, pebble.Sync); err != nil {
		return feed.Post{}, translate(doing, err)
	}
	s.outbox.grow(1)
	if s.late(post.ID) {
		return feed.Post{}, s.takeBack(post.ID, key)
	}
	s.latest.raise(post.Author, post.ID)
	b = s.batch()
	showPost(b, post)
	if err := s.commit(b, pebble.NoSync); err != nil {
		return feed.Post{}, translate(doing, err)
	}
	return post, nil
}

// showPost makes a post visible: the second step of writing it.
func showPost(b batch, post feed.Post) {
	b.set(postKey(post.ID), encodePost(post))
	b.set(byAuthorKey(post.Author, post.ID), nil)
}

// takeBack undoes the first step of a post whose id grew too old. It is synced:
// lost, Open would complete a post that its author was told does not exist.
func (s *Store) takeBack(id feed.PostID, key *requestRow) error {
	b := s.batch()
	b.remove(eventKey(id))
	key.remove(b)
	if err := s.commit(b, pebble.Sync); err != nil {
		return translate("take back a late post", err)
	}
	s.outbox.grow(-1)
	return feed.ErrLate
}

func (s *Store) late(id feed.PostID) bool {
	return s.clock().Sub(id.Time()) > feed.MaxIDAge
}

// DeletePost implements storage.Posts.
func (s *Store) DeletePost(ctx context.Context, author feed.UserID, id feed.PostID) error {
	const doing = "delete the post"
	if err := s.enter(ctx, doing); err != nil {
		return err
	}
	defer s.leave()

	unlock := s.posts.lock(uint64(id))
	b, err := s.showDelete(author, id)
	unlock()
	if feed.CodeOf(err) == feed.CodeNotFound {
		err = s.settled(err)
	} else if err == nil {
		err = s.persist(b)
	}
	if err != nil {
		return translate(doing, err)
	}
	return nil
}

// showDelete checks and removes a post, and its event. The caller holds the post's
// stripe.
func (s *Store) showDelete(author feed.UserID, id feed.PostID) (b batch, err error) {
	var owner feed.UserID
	found, err := s.lookup(postKey(id), func(value []byte) (err error) {
		owner, err = postAuthor(postKey(id), value)
		return err
	})
	switch {
	case err != nil:
		return b, err
	case !found:
		return b, feed.NotFound("there is no post %d", id)
	case owner != author:
		return b, feed.Denied("post %d belongs to another author", id)
	}
	event := false
	if s.outbox.take(id) {
		defer func() { s.outbox.removed(id, event && err == nil) }()
		if event, err = s.has(eventKey(id)); err != nil {
			return b, err
		}
	}
	b = s.batch()
	b.remove(postKey(id))
	b.remove(byAuthorKey(author, id))
	b.remove(eventKey(id))
	return b, s.show(b)
}

// PostsOf implements storage.Posts. A post that is deleted between its place among the
// author's and its text is made up for by an older one.
func (s *Store) PostsOf(ctx context.Context, author feed.UserID, before feed.PostID, limit int) (posts []feed.Post, err error) {
	for more := true; more && len(posts) < limit; {
		asked := limit - len(posts)
		refs, err := s.Newest(ctx, []storage.Range{{Author: author, Before: before}}, asked)
		if err != nil {
			return nil, err
		}
		ids := make([]feed.PostID, len(refs))
		for i, ref := range refs {
			ids[i], before = ref.Post, ref.Post
		}
		found, err := s.GetPosts(ctx, ids)
		if err != nil {
			return nil, err
		}
		posts, more = append(posts, found...), len(refs) == asked
	}
	return posts, nil
}

// GetPosts implements storage.Posts.
func (s *Store) GetPosts(ctx context.Context, ids []feed.PostID) ([]feed.Post, error) {
	const doing = "read posts"
	if err := s.enter(ctx, doing); err != nil {
		return nil, err
	}
	defer s.leave()
	posts := make([]feed.Post, 0, len(ids))
	key := make([]byte, 0, oneNumber)
	for _, id := range ids {
		key = appendNumber(key[:0], tablePosts, id)
		_, err := s.lookup(key, func(value []byte) error {
			post, err := decodePost(key, value)
			posts = append(posts, post)
			return err
		})
		if err != nil {
			return nil, translate(doing, err)
		}
	}
	return posts, nil
}
