package engines

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"skein/deploy/local/servers"
	"skein/feed"
	"skein/storage"
)

// cassandraURL returns the URL of a keyspace that is not there yet, on the server that
// SKEIN_TEST_CASSANDRA names.
func cassandraURL(t *testing.T) string {
	t.Helper()
	server := os.Getenv("SKEIN_TEST_CASSANDRA")
	if server == "" {
		servers.Require(t, &servers.MissingError{Engine: servers.Cassandra, Why: "SKEIN_TEST_CASSANDRA names none", Remedy: "run make test"})
	}
	return fmt.Sprintf("%s/skein_engines_%x", server[:strings.LastIndexByte(server, '/')], rand.Uint32())
}

// Posts, users and follows, or all of them may be in Cassandra. Migrate prepares it once.
func TestCassandra(t *testing.T) {
	url := cassandraURL(t)
	for _, c := range []struct{ posts, graph string }{{url, url}, {url, nameEmbedded}, {nameEmbedded, url}} {
		config := DefaultConfig()
		config.DataDir, config.Posts, config.Graph = t.TempDir(), c.posts, c.graph
		if err := config.Validate(); err != nil {
			t.Fatal(err)
		}
		var done []string
		if err := Migrate(t.Context(), config, options(), func(server string) { done = append(done, server) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(done, []string{"Cassandra"}) {
			t.Errorf("migrated %v, want Cassandra once", done)
		}
		set, err := Open(t.Context(), config, options())
		if err != nil {
			t.Fatal(err)
		}
		if (set.Posts == storage.Posts(set.Graph.(store))) != (c.posts == c.graph) {
			t.Errorf("one store for both: %t", c.posts != c.graph)
		}
		if err := useStorage(t.Context(), set); err != nil {
			t.Errorf("posts %s, graph %s: %v", Scheme(c.posts), Scheme(c.graph), err)
		}
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}
}

func useStorage(ctx context.Context, s *Set) error {
	id, err := feed.NewIDs(s.Posts, time.Now).Next(ctx)
	if err != nil {
		return err
	}
	if _, err := s.Posts.CreatePost(ctx, storage.Draft{Post: feed.Post{ID: id, Author: 1}}); err != nil {
		return err
	}
	_, err = s.Graph.Follow(ctx, feed.Follow{Viewer: 1, Author: 2})
	return err
}

func TestStorageNames(t *testing.T) {
	for url, ok := range map[string]bool{
		"embedded": true, "postgres://h/db": true, "cassandra://h1,h2/keyspace": true,
		"cassandra": false, "postgres": false, "kafka://h": false, "memory": false, "": false,
	} {
		config := DefaultConfig()
		config.Posts = url
		if err := config.Validate(); (err == nil) != ok {
			t.Errorf("--posts %q: %v", url, err)
		}
	}
}
