// Package storagetest is the suite that every engine of storage must pass, and
// the benchmarks beside it. It knows no engine: what only one can do (losing its
// disk, say) is tested where that engine lives.
//
// Each case begins with empty stores. Cases are named by the clause of the
// contract that they hold.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
)

// Stores is what an engine under test provides.
type Stores struct {
	Posts storage.Posts
	Graph storage.Graph
	// Reopen closes the stores and opens them again on the same data, as a new
	// process would. Nil where that means nothing.
	Reopen func(testing.TB) Stores
	// InDoubt says that of many who write one row at once some may be answered
	// feed.CodeUnavailable, their outcome unknown, and try again as clients do.
	InDoubt bool
}

// patience is how long a caller in doubt tries again.
const patience = time.Minute

// insist calls f until it is not in doubt, and reports whether it was.
func (s Stores) insist(f func() error) (doubted bool, err error) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); ; doubted = true {
		err = f()
		if !s.InDoubt || feed.CodeOf(err) != feed.CodeUnavailable || time.Since(began) > patience {
			return doubted, err
		}
		<-again.C
	}
}

// Open returns empty stores, and closes them when the test ends.
type Open func(testing.TB) Stores

type testCase struct {
	name string
	run  func(*testing.T, Stores)
}

// Run runs the whole suite, several cases at once.
func Run(t *testing.T, open Open) {
	for _, group := range [][]testCase{postCases, requestCases, newestCases, outboxCases, grantCases, userCases, followCases, importCases, sharedCases} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel() // with servers they mostly wait
				c.run(t, open(t))
			})
		}
	}
}

// writer posts as the write path does: ids from grants, another one when the
// store finds it late.
type writer struct {
	posts storage.Posts
	ids   *feed.IDs
}

func newWriter(posts storage.Posts) *writer {
	return &writer{posts: posts, ids: feed.NewIDs(posts, time.Now)}
}

func (w *writer) create(author feed.UserID, text, requestID string) (feed.Post, error) {
	return w.post(feed.Post{Author: author, Text: text, Payload: []byte{0, 1, 255}}, requestID)
}

// post creates a post, whose id it gives it.
func (w *writer) post(post feed.Post, requestID string) (feed.Post, error) {
	for range 20 {
		var err error
		if post.ID, err = w.ids.Next(bg); err != nil {
			return feed.Post{}, err
		}
		got, err := w.posts.CreatePost(bg, storage.Draft{Post: post, RequestID: requestID})
		if !errors.Is(err, feed.ErrLate) {
			return got, err
		}
	}
	return feed.Post{}, errors.New("every id was late: is the store slower than a post a second?")
}

func (w *writer) mustCreate(t testing.TB, author feed.UserID, text string) feed.Post {
	t.Helper()
	post, err := w.create(author, text, "")
	if err != nil {
		t.Fatalf("create a post of %d: %v", author, err)
	}
	return post
}

func samePost(a, b feed.Post) bool {
	return a.ID == b.ID && a.Author == b.Author && a.Text == b.Text && bytes.Equal(a.Payload, b.Payload)
}

// reporter is what the checks need of a test; rapid's tests have it too.
type reporter interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t reporter, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// result returns the value of a call that must not fail: result(call())(t).
func result[T any](v T, err error) func(reporter) T {
	return func(t reporter) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func wantCode(t reporter, err error, code feed.Code) {
	t.Helper()
	if err == nil || feed.CodeOf(err) != code {
		t.Fatalf("error %v, want one of code %d", err, code)
	}
}

func wantEqual[T comparable](t reporter, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// together runs f(0) … f(n-1) at once and returns the first error.
func together(n int, f func(i int) error) error {
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	var first error
	for range n {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

var bg = context.Background()

// cancelled is a context whose calls must end with feed.CodeUnavailable.
func cancelled() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

func text(i int) string { return fmt.Sprintf("post number %d, with a goose 🪿", i) }
