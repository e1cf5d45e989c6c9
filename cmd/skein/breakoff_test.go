package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"skein/cmd/internal/engines"
	"skein/feed"
	feedv1 "skein/proto/feed/v1"
	"skein/storage"
)

// hungPosts is a store whose CreatePost hangs, whatever its context says, as in an
// engine that panicked under its own lock.
type hungPosts struct {
	storage.Posts
	entered, release chan struct{}
}

func (p hungPosts) CreatePost(context.Context, storage.Draft) (feed.Post, error) {
	close(p.entered)
	<-p.release
	return feed.Post{}, feed.Unavailable("create the post", errors.New("the disk is full"))
}

// When an engine has failed the process ends, also while a call hangs in it.
func TestFailureWhileACallHangs(t *testing.T) {
	config := DefaultConfig()
	config.Engines.DataDir = t.TempDir()
	config.Listen, config.MetricsListen = "127.0.0.1:0", ""
	hung := hungPosts{entered: make(chan struct{}), release: make(chan struct{})}
	app, err := newApp(config, slog.New(slog.DiscardHandler), func(s *engines.Set) {
		hung.Posts = s.Posts
		s.Posts = hung
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(context.Background()) }()
	connection := dial(t, app.Addresses().GRPC)
	ctx := withDeadline(t)
	if _, err := feedv1.NewGraphServiceClient(connection).CreateUser(ctx, &feedv1.CreateUserRequest{Id: 1}); err != nil {
		t.Fatal(err)
	}
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		_, _ = feedv1.NewPostServiceClient(connection).CreatePost(ctx, &feedv1.CreatePostRequest{AuthorId: 1, Text: "honk"})
	}()
	<-hung.entered
	failure := errors.New("the disk is full")
	app.fatal(failure)
	select {
	case err := <-ended:
		if !errors.Is(err, failure) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("it waits for the call that hangs")
	}
	close(hung.release)
	<-posted
	app.bury(t)
}

// bury ends what an App leaves running that cannot go on: its process would be gone.
func (a *App) bury(t *testing.T) {
	t.Helper()
	a.rpc.Stop()
	a.admin.stop()
	if a.metrics != nil {
		_ = a.metrics.Close()
	}
	a.servers.Wait()
	if err := errors.Join(a.fanout.Stop(t.Context()), a.engines.Close()); err != nil {
		t.Error(err)
	}
	a.api.Close()
}
