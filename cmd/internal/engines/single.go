package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// OpenGraph opens the graph engine alone (Log, Timelines and, unless the same
// engine keeps them, Posts stay nil), for a command that runs while no server
// does. Unlike Open it makes no data directory.
func OpenGraph(ctx context.Context, c Config, o Options) (*Set, error) {
	s := &Set{}
	c.Posts = c.Graph
	err := func() error {
		if c.Graph == nameEmbedded {
			if _, err := os.Stat(filepath.Join(c.DataDir, storageFolder)); err != nil {
				return fmt.Errorf("there is no data in %s (%w); run skein serve on it once, or name another with --data-dir", c.DataDir, err)
			}
			if err := s.hold(c.DataDir); err != nil {
				return err
			}
		}
		return s.openStorage(ctx, c, o)
	}()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenLog opens the event log alone. On disk it must be of a data directory that no
// server has; it makes none.
func OpenLog(ctx context.Context, c Config, o Options) (*Set, error) {
	s := &Set{}
	err := func() error {
		if c.Log == nameEmbedded {
			held, err := Look(c.DataDir)
			if err != nil {
				return err
			}
			if err := errors.Join(held.Close(), s.hold(c.DataDir)); err != nil {
				return err
			}
		}
		return s.openLog(ctx, c, o)
	}()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
