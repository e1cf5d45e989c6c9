package cassandra

import (
	"context"

	"skein/feed"
)

// pageOfAuthor reads the newest few posts of one bucket of an author, whole.
const pageOfAuthor = `
SELECT post, text, payload FROM posts_by_author WHERE author = ? AND bucket = ? AND post < ? LIMIT ?`

// PostsOf implements storage.Posts. A page is one statement, to the node that has the
// author; another for each older bucket until it is full.
func (s *Store) PostsOf(ctx context.Context, author feed.UserID, before feed.PostID, limit int) ([]feed.Post, error) {
	var posts []feed.Post
	before = min(before, feed.IDAt(s.Now().Add(aheadID)))
	for len(posts) < limit && before > 1 {
		bucket := bucketOfAuthor(before - 1)
		p, text := feed.Post{Author: author}, []byte(nil)
		q := s.read(ctx, pageOfAuthor, int64(author), bucket, int64(before), limit-len(posts))
		err := each(q, []any{(*int64)(&p.ID), &text, &p.Payload}, func() {
			p.Text = string(text)
			posts = append(posts, p)
			p.Payload = nil // the next row's is another
		})
		if err != nil {
			return nil, translate("read an author's posts", err)
		}
		before = feed.PostID(bucket) << authorBits // when the bucket had no more
	}
	return posts, nil
}
