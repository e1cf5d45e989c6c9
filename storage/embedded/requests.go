package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"skein/feed"
	"skein/storage"
)

// scopeLen is author and hash of the request id.
const scopeLen = 8 + 16

// scope names an idempotency key: the author and a hash of the request id.
type scope [scopeLen]byte

// content is a hash of what was posted.
type content [16]byte

func scopeOf(author feed.UserID, requestID string) (s scope) {
	sum := sha256.Sum256([]byte(requestID))
	binary.BigEndian.PutUint64(s[:], uint64(author))
	copy(s[8:], sum[:])
	return s
}

func contentOf(p feed.Post) (c content) {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p.Text))))
	h.Write([]byte(p.Text))
	h.Write(p.Payload)
	copy(c[:], h.Sum(nil))
	return c
}

// requestRow is what is stored of a key. A nil row is no key.
type requestRow struct {
	scope   scope
	millis  uint64
	post    feed.PostID
	content content
}

func (r *requestRow) key() []byte { return append([]byte{tableRequests}, r.scope[:]...) }

func (r *requestRow) timeKey() []byte {
	return append(number(tableRequestTimes, r.millis), r.scope[:]...)
}

func (r *requestRow) put(b batch) {
	if r != nil {
		b.set(r.key(), append(encodeNumbers(r.millis, uint64(r.post)), r.content[:]...))
		b.set(r.timeKey(), nil)
	}
}

func (r *requestRow) remove(b batch) {
	if r != nil {
		b.remove(r.key())
		b.remove(r.timeKey())
	}
}

// requests serialises the uses of one key, without a lock over I/O.
type requests struct {
	mu struct {
		sync.Mutex
		// inFlight is closed and removed when the use ends.
		inFlight map[scope]chan struct{}
	}
	created atomic.Uint64
	purging atomic.Bool
	// purged is the last key removed, less its table; who purges owns it. The next scan begins
	// there, not at the tombstones of all that went before.
	purged []byte
}

// begin starts a use of key, and returns nil and how to end it; or returns the
// channel that closes when the use under way has ended.
func (r *requests) begin(key scope) (busy <-chan struct{}, end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if done, ok := r.mu.inFlight[key]; ok {
		return done, nil
	}
	if r.mu.inFlight == nil {
		r.mu.inFlight = map[scope]chan struct{}{}
	}
	done := make(chan struct{})
	r.mu.inFlight[key] = done
	return nil, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.mu.inFlight, key)
		close(done)
	}
}

// createOnce is CreatePost with a request id (W3).
func (s *Store) createOnce(ctx context.Context, draft storage.Draft) (feed.Post, error) {
	row := &requestRow{
		scope:   scopeOf(draft.Post.Author, draft.RequestID),
		post:    draft.Post.ID,
		content: contentOf(draft.Post),
	}
	for {
		busy, end := s.requests.begin(row.scope)
		if busy == nil {
			defer end()
			return s.createNow(draft, row)
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return feed.Post{}, feed.Unavailable("wait for the same request", ctx.Err())
		}
	}
}

// createNow runs while no other call uses the same key.
func (s *Store) createNow(draft storage.Draft, row *requestRow) (feed.Post, error) {
	const doing = "create the post"
	post := draft.Post
	found, err := s.lookup(row.key(), func(value []byte) error {
		if len(value) != 16+len(content{}) {
			return damaged(row.key())
		}
		if content(value[16:]) != row.content {
			return feed.Exists("request id %q was used with other content", draft.RequestID)
		}
		post.ID = feed.PostID(binary.BigEndian.Uint64(value[8:]))
		return nil
	})
	if err != nil {
		return feed.Post{}, translate(doing, err)
	}
	if found {
		return post, nil
	}
	row.millis = uint64(s.millis())
	if s.requests.created.Add(1)%purgeEvery == 0 {
		if err := s.purgeRequests(); err != nil {
			return feed.Post{}, translate(doing, err)
		}
	}
	return s.create(post, row)
}
