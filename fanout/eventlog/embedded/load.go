package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"skein/fanout/eventlog"
	"skein/internal/readonly"
)

// load reads what the store knows of the topics, and makes the new ones.
func (l *Log) load(topics []eventlog.Topic) error {
	if err := l.checkVersion(); err != nil {
		return err
	}
	known, next, err := l.storedTopics()
	if err != nil {
		return err
	}
	batch := l.db.NewBatch()
	defer batch.Close()
	for _, want := range topics {
		stored, ok := known[want.Name]
		if !ok {
			stored = storedTopic{id: next, partitions: want.Partitions}
			known[want.Name] = stored
			next++
			value := binary.BigEndian.AppendUint32(nil, stored.id)
			value = binary.BigEndian.AppendUint32(value, uint32(want.Partitions))
			if err := batch.Set(topicKey(want.Name), value, nil); err != nil {
				return err
			}
		}
		if stored.partitions != want.Partitions {
			return fmt.Errorf("%w: topic %q was made with %d partitions, not %d; their number is fixed: ask for %[3]d, or take another name",
				errRefused, want.Name, stored.partitions, want.Partitions)
		}
		if l.topics[want.Name], err = loadTopic(l.db, want.Name, stored); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.Sync)
}

// checkVersion accepts a new store, or one of this layout.
func (l *Log) checkVersion() error {
	value, closer, err := l.db.Get(versionKey)
	if err == nil {
		defer closer.Close()
		if !bytes.Equal(value, []byte{layoutVersion}) {
			return fmt.Errorf("%w: the folder %s has layout %v, this program knows %d; use the program that wrote it",
				errRefused, l.fate.dir, value, layoutVersion)
		}
		return nil
	}
	if !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	it, err := l.db.NewIter(nil)
	if err != nil {
		return err
	}
	used := it.First()
	ours := used && slices.Contains([]byte{topicPrefix, recordPrefix, floorPrefix, commitPrefix}, it.Key()[0])
	if err := it.Close(); err != nil {
		return err
	}
	if ours {
		return fmt.Errorf("%w: the folder %s holds records but not their layout, so its manifest or log is damaged", readonly.ErrDamaged, l.fate.dir)
	}
	if used {
		return fmt.Errorf("%w: the folder %s holds another store; choose another folder", errRefused, l.fate.dir)
	}
	return l.db.Set(versionKey, []byte{layoutVersion}, pebble.Sync)
}

type storedTopic struct {
	id         uint32
	partitions int
}

// storedTopics returns the topics of the store and the next free id.
func (l *Log) storedTopics() (known map[string]storedTopic, next uint32, err error) {
	known = map[string]storedTopic{}
	err = scan(l.db, []byte{topicPrefix}, func(key, value []byte) error {
		if len(value) != 8 {
			return errShortValue
		}
		t := storedTopic{id: binary.BigEndian.Uint32(value), partitions: int(binary.BigEndian.Uint32(value[4:]))}
		known[string(key[1:])] = t
		next = max(next, t.id+1)
		return nil
	})
	return known, next, err
}
