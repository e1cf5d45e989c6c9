package rows

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// rawPosts is the ceiling of posts_embedded: what Pebble takes of the rows that
// storage/embedded writes for a post, in one synced batch each, in a new folder.
func rawPosts(ctx context.Context, b *Bench, r createPosts) (rate float64, err error) {
	dir, err := os.MkdirTemp(b.Dir, "bench-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	db, err := pebble.Open(dir, &pebble.Options{
		Logger: discard{}, FormatMajorVersion: pebble.FormatTableFormatV6,
		// As storage/embedded has them; with the defaults it is slower.
		MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4, BytesPerSync: 1 << 20,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var id atomic.Uint64
	return closedLoop(ctx, r.clients, b.Phase, func(context.Context, int) error {
		batch := db.NewBatch()
		defer batch.Close()
		if err := putRaw(batch, id.Add(1), rand.Uint64N(uint64(r.users))+1); err != nil {
			return err
		}
		return batch.Commit(pebble.Sync)
	})
}

// putRaw puts the five rows of a post with an idempotency key into batch: event,
// key, the key's expiry, post, and its place among the author's posts.
func putRaw(batch *pebble.Batch, id, author uint64) error {
	number := func(table byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{table}, n) }
	post := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(text)), author)
	post = append(binary.AppendUvarint(post, uint64(len(text))), text...)
	key := sha256.Sum256(number(0, id))
	scope := append(binary.BigEndian.AppendUint64(nil, author), key[:16]...)
	request := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, id), id)
	for _, row := range [][2][]byte{
		{number(0x12, id), post},
		{append([]byte{0x13}, scope...), append(request, key[16:]...)},
		{append(number(0x14, id), scope...), nil},
		{number(0x10, id), post},
		{binary.BigEndian.AppendUint64(number(0x11, author), ^id), nil},
	} {
		if err := batch.Set(row[0], row[1], nil); err != nil {
			return err
		}
	}
	return nil
}

// discard is a logger for Pebble that says nothing. A disk that fails ends the
// benchmark by the errors of commits.
type discard struct{}

func (discard) Infof(string, ...any)  {}
func (discard) Errorf(string, ...any) {}
func (discard) Fatalf(string, ...any) {}
