package embedded

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skein/feed"
	"skein/storage"
)

// A manifest that is gone, or cut, makes Pebble begin an empty store over the
// tables that are there. Open refuses, rather than serve a feed whose acknowledged
// posts are all gone (W2).
func TestAFolderThatPebbleTakesForEmpty(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"marker gone": func(t *testing.T, dir string) {
			for _, marker := range glob(t, dir, "marker.manifest*") {
				must(t, os.Remove(marker))
			}
		},
		"manifest cut": func(t *testing.T, dir string) {
			for _, manifest := range glob(t, dir, "MANIFEST*") {
				info, err := os.Stat(manifest)
				must(t, err)
				must(t, os.Truncate(manifest, info.Size()/2))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(dir, Options{})
			must(t, err)
			post := feed.Post{ID: feed.IDAt(time.Now()), Author: 1, Text: "honk"}
			_, err = s.CreatePost(context.Background(), storage.Draft{Post: post})
			must(t, err)
			must(t, s.Close())
			// The second opening moves all of it into a table, and drops the
			// log that could replace the manifest.
			s, err = Open(dir, Options{})
			must(t, err)
			must(t, s.Close())
			damage(t, dir)
			s, err = Open(dir, Options{})
			if err == nil {
				posts, _ := s.GetPosts(context.Background(), []feed.PostID{post.ID})
				t.Fatalf("it opens, with %d of 1 posts (%v)", len(posts), s.Close())
			}
			if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "skein restore") {
				t.Errorf("the error does not say where, or what to do: %v", err)
			}
		})
	}
}

func glob(t *testing.T, dir, pattern string) []string {
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	if len(names) == 0 {
		t.Fatalf("no %s in %s", pattern, dir)
	}
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
