package graph

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// What was saved is read as the same graph, plain and zipped, and replaces what
// was there.
func TestSaveAndOpen(t *testing.T) {
	for _, name := range []string{"graph.edges", "graph.edges.gz"} {
		path := filepath.Join(t.TempDir(), name)
		for seed := range uint64(2) {
			g := mustSynthesize(t, Synthetic{Users: 500, Follows: 6000, Celebrities: 2, CelebrityShare: 0.3, Seed: seed})
			if err := g.Save(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			read, notes, err := Open(path, Options{})
			if err != nil || notes.Duplicates+notes.SelfFollows+notes.Skipped > 0 || notes.Shifted {
				t.Fatalf("%s: %v, %+v", name, err, notes)
			}
			if hashOf(read) != hashOf(g) {
				t.Errorf("%s, seed %d: another graph was read", name, seed)
			}
		}
		data, err := os.ReadFile(path)
		if zipped := bytes.HasPrefix(data, []byte{0x1f, 0x8b}); err != nil || zipped != (filepath.Ext(name) == ".gz") {
			t.Errorf("%s: zipped %t, %v", name, zipped, err)
		}
	}
}

// Any graph that can be read is written as itself, whatever its ids.
func TestWriteAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e edges
		for range rapid.IntRange(1, 50).Draw(t, "follows") {
			a := rapid.Uint64Range(1, maxNode).Draw(t, "a")
			b := rapid.Uint64Range(1, maxNode).Filter(func(b uint64) bool { return b != a }).Draw(t, "b")
			e.add(a, b)
		}
		g, _ := e.build(0)
		var text bytes.Buffer
		if err := g.Write(context.Background(), &text); err != nil {
			t.Fatal(err)
		}
		if read, _, err := Read(&text, "x", Options{}); err != nil || hashOf(read) != hashOf(g) {
			t.Fatalf("another graph was read; %v", err)
		}
	})
}

// An interrupted or failed write leaves the file before, and nothing beside it.
func TestSaveFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "graph.edges")
	if err := os.WriteFile(path, []byte("1 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := mustSynthesize(t, Synthetic{Users: 100, Follows: 1000, Seed: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Save(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
	if err := g.Save(t.Context(), filepath.Join(dir, "none", "graph.edges")); err == nil {
		t.Error("a folder that does not exist was written to")
	}
	data, err := os.ReadFile(path)
	left, _ := os.ReadDir(dir)
	if err != nil || string(data) != "1 2\n" || len(left) != 1 {
		t.Errorf("left: %q, %v, %v", data, left, err)
	}
}
