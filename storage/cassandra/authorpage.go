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
		bucket, asked := bucketOfAuthor(before-1), limit-len(posts)
		page, short, err := s.pageOf(ctx, author, bucket, before, asked)
		if before = feed.PostID(bucket) << authorBits; len(page) == asked {
			before = page[asked-1].ID
		}
		if err == nil && short {
			page, err = s.whole(ctx, page)
		}
		if err != nil {
			return nil, translate("read an author's posts", err)
		}
		posts = append(posts, page...)
	}
	return posts, nil
}

// pageOf reads a page of one bucket. It is short if a row was written by a process that
// did not put the text there yet.
func (s *Store) pageOf(ctx context.Context, author feed.UserID, bucket int16, before feed.PostID, limit int) (page []feed.Post, short bool, err error) {
	page = make([]feed.Post, 0, min(limit, maxPage))
	p, text := feed.Post{Author: author, Payload: []byte{}}, []byte{} // not nil, which is what null becomes
	q := s.read(ctx, pageOfAuthor, int64(author), bucket, int64(before), limit)
	err = each(q, []any{(*int64)(&p.ID), &text, &p.Payload}, func() {
		short = short || text == nil
		p.Text = string(text)
		page = append(page, p)
		text, p.Payload = text[:0], []byte{} // the next row's payload is another
		if text == nil {
			text = []byte{}
		}
	})
	return page, short, err
}

// maxPage is how many posts room is made for at once.
const maxPage = 256

// whole returns the posts of a page that exist, found by id.
func (s *Store) whole(ctx context.Context, page []feed.Post) ([]feed.Post, error) {
	ids := make([]feed.PostID, len(page))
	for i, p := range page {
		ids[i] = p.ID
	}
	return s.GetPosts(ctx, ids)
}
