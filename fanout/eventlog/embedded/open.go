package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"skein/fanout/eventlog"
	"skein/internal/readonly"
)

// memTableSize bounds what is held of appends before it is written out; Pebble
// keeps two at most.
const memTableSize = 8 << 20

// Open opens the log in folder dir, or makes it, with at least these topics. A
// topic that exists must have the same number of partitions. The error tells a
// folder that is in use from one that is damaged.
func Open(dir string, topics []eventlog.Topic, opts Options) (*Log, error) {
	opts = opts.withDefaults()
	for _, t := range topics {
		if t.Name == "" || t.Partitions < 1 {
			return nil, fmt.Errorf("event log: topic %q has %d partitions; it needs a name and at least one", t.Name, t.Partitions)
		}
	}
	l := &Log{
		fate:      &fate{dir: dir, logger: opts.Logger, onFatal: opts.OnFatal},
		clock:     opts.Clock,
		logger:    opts.Logger,
		retention: opts.Retention,
		topics:    map[string]*topic{},
		closed:    make(chan struct{}),
	}
	var err error
	if l.db, err = openStore(dir, opts, l.fate); err != nil {
		return nil, explain(dir, err)
	}
	l.live, l.end = context.WithCancelCause(context.Background())
	if err = l.load(topics); err == nil {
		err = l.fate.open(l.end)
	}
	if err != nil {
		return nil, explain(dir, errors.Join(err, l.db.Close()))
	}
	return l, nil
}

func openStore(dir string, opts Options, f *fate) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = recovered(p)
		}
	}()
	return pebble.Open(dir, &pebble.Options{
		FS:                 opts.FS,
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       memTableSize,
		CacheSize:          32 << 20,
		Logger:             f,
		EventListener:      f.listener(),
	})
}

// errRefused marks the errors of a folder that is sound but not fit.
var errRefused = errors.New("event log")

// explain says what is wrong with the folder, and what to do.
func explain(dir string, err error) error {
	switch {
	case errors.Is(err, errRefused):
		return err
	case errors.Is(err, syscall.EAGAIN), strings.Contains(err.Error(), "lock held by current process"):
		return fmt.Errorf("the event log in %s is in use by another process: stop that one, or choose another folder: %w", dir, err)
	default:
		return fmt.Errorf("cannot open the event log in %s (%s): %w", dir, readonly.Advice(err), readonly.Plain(err))
	}
}
