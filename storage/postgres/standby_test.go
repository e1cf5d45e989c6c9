package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"skein/feed"
	"skein/storage/postgres"
)

// W1, W2: a synchronous standby is away. The first call's wait for it is cut short
// by its caller, and PostgreSQL shows what it did all the same. Whoever finds that,
// and would answer that it stays, waits too.
func TestW2_WhatIsFoundAwaitsTheStandbyToo(t *testing.T) {
	server := ownServer(t)
	must(t, postgres.Migrate(bg, server.URL()))
	s := open(t, server.URL())
	gone := takeID(t, s)
	receive(t, "a post to be deleted", create(s, draft(gone, 1, "")))
	_, err := s.Follow(bg, feed.Follow{Viewer: 1, Author: 3})
	must(t, err)

	c := connect(t, server.URL())
	set := func(names string) {
		t.Helper()
		exec(t, c, `SET synchronous_commit = local`) // what this connection does is no part of the test
		exec(t, c, `ALTER SYSTEM SET synchronous_standby_names = '`+names+`'`)
		exec(t, c, `SELECT pg_reload_conf()`)
		eventually(t, "the setting is in force", func() bool {
			return value[string](t, c, `SHOW synchronous_standby_names`) == names
		})
	}
	// Of the future, so that it cannot be late.
	d, edge, old := draft(feed.IDAt(time.Now().Add(time.Minute)), 1, "key"), feed.Follow{Viewer: 1, Author: 2}, feed.Follow{Viewer: 1, Author: 3}
	calls := []struct {
		what, shown string // shown is SQL: whether it is visible
		call        func(ctx context.Context) error
		want        feed.Code // of a retry when the standby is back; 0 for none
	}{
		{"CreatePost", `EXISTS (SELECT FROM posts WHERE id = ` + sqlID(d.Post.ID) + `)`, func(ctx context.Context) error { _, err := s.CreatePost(ctx, d); return err }, 0},
		{"DeletePost", `NOT EXISTS (SELECT FROM posts WHERE id = ` + sqlID(gone) + `)`, func(ctx context.Context) error { return s.DeletePost(ctx, 1, gone) }, feed.CodeNotFound},
		{"Follow", `EXISTS (SELECT FROM follows WHERE author = 2)`, func(ctx context.Context) error { _, err := s.Follow(ctx, edge); return err }, 0},
		{"Unfollow", `NOT EXISTS (SELECT FROM follows WHERE author = 3)`, func(ctx context.Context) error { _, err := s.Unfollow(ctx, old); return err }, 0},
		{"CreateUser", `EXISTS (SELECT FROM users WHERE id = 9)`, func(ctx context.Context) error { _, err := s.CreateUser(ctx, 9); return err }, feed.CodeExists},
		{"ImportFollows", `EXISTS (SELECT FROM follows WHERE author = 4)`, func(ctx context.Context) error {
			_, err := s.ImportFollows(ctx, []feed.Follow{{Viewer: 1, Author: 4}})
			return err
		}, 0},
		{"BeginLife", `EXISTS (SELECT FROM shared WHERE life = 1)`, func(ctx context.Context) error { _, err := s.BeginLife(ctx, 0); return err }, 0},
	}
	waiting := func() bool {
		return value[bool](t, c, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')`)
	}
	// That is in force for commits when the checkpointer has read it, not only we.
	commitWaits := func() bool {
		ctx, leave := context.WithCancel(bg)
		defer leave()
		probe := connect(t, server.URL())
		done := start(func() (struct{}, error) {
			_, err := probe.Exec(ctx, `SELECT pg_logical_emit_message(true, '', '')`)
			return struct{}{}, err
		})
		waits := false
		eventually(t, "a commit waits for the standby, or ends", func() bool { waits = waiting(); return waits || len(done) > 0 })
		leave()
		<-done
		eventually(t, "its wait is over", func() bool { return !waiting() })
		return waits
	}
	set("standby")
	eventually(t, "commits wait for the standby", commitWaits)
	for _, try := range []string{"first", "second"} {
		for _, call := range calls {
			ctx, leave := context.WithCancel(bg)
			done := start(func() (struct{}, error) { return struct{}{}, call.call(ctx) })
			eventually(t, call.what+" waits for the standby, or ends", func() bool { return waiting() || len(done) > 0 })
			leave()
			if o := <-done; feed.CodeOf(o.err) != feed.CodeUnavailable {
				t.Errorf("W2: the %s %s, of which no standby knows, has %v; want unavailable", try, call.what, o.err)
			}
			eventually(t, call.what+" is visible after its wait was cut short", func() bool {
				return !waiting() && value[bool](t, c, `SELECT `+call.shown)
			})
		}
	}
	set("")
	for _, call := range calls {
		if err := call.call(bg); (err != nil || call.want != 0) && feed.CodeOf(err) != call.want {
			t.Errorf("without standbys a retry of %s has %v, want code %v", call.what, err, call.want)
		}
	}
}

func sqlID(id feed.PostID) string { return fmt.Sprint(int64(id)) }
