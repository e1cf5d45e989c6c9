package graph

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Save replaces the file at path, whose folder must exist, by the graph as an
// edge list, compressed by gzip if the name ends in .gz. Who reads it meanwhile
// finds the old file or the new one, whole. It gives up when ctx ends. A user
// without any follow, in either direction, is not in the list.
func (g *Graph) Save(ctx context.Context, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err == nil {
		err = errors.Join(g.save(ctx, f, strings.HasSuffix(path, ".gz")), f.Chmod(0o644), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write the graph to %s: %w", path, err)
	}
	return nil
}

func (g *Graph) save(ctx context.Context, w io.Writer, zipped bool) error {
	if !zipped {
		return g.Write(ctx, w)
	}
	// Digits compress nearly as well at the fastest level as at the default.
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	return errors.Join(g.Write(ctx, z), z.Close())
}

// Write writes the graph as an edge list that Read reads: a line "follower
// author" for each follow, by rising ids, after a comment with the size. It
// gives up when ctx ends.
func (g *Graph) Write(ctx context.Context, w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<20)
	fmt.Fprintf(b, "# Nodes: %d Edges: %d\n# FollowerId\tAuthorId\n", g.Users(), g.Follows())
	line := make([]byte, 0, 2*21)
	for i := range uint32(g.Users()) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, author := range g.Following(i) {
			line = strconv.AppendInt(line[:0], int64(g.ids[i]), 10)
			line = append(line, '\t')
			line = strconv.AppendInt(line, int64(g.ids[author]), 10)
			line = append(line, '\n')
			if _, err := b.Write(line); err != nil {
				return err
			}
		}
	}
	return b.Flush()
}
