package embedded

import (
	"encoding/binary"
	"fmt"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	"skein/internal/readonly"
)

// The first byte of a key says what it holds; see the package comment.
const (
	topicPrefix  = 't'
	recordPrefix = 'r'
	floorPrefix  = 'f'
	commitPrefix = 'c'
)

var versionKey = []byte("version")

const (
	layoutVersion = 1
	recordKeyLen  = 1 + 4 + 4 + 8
)

func topicKey(name string) []byte { return append([]byte{topicPrefix}, name...) }

// partitionKey starts the keys of one kind of one partition.
func partitionKey(kind byte, topic uint32, partition int) []byte {
	key := make([]byte, 0, recordKeyLen)
	key = append(key, kind)
	key = binary.BigEndian.AppendUint32(key, topic)
	return binary.BigEndian.AppendUint32(key, uint32(partition))
}

func recordKey(topic uint32, partition int, offset int64) []byte {
	return binary.BigEndian.AppendUint64(partitionKey(recordPrefix, topic, partition), uint64(offset))
}

func offsetOf(recordKey []byte) int64 {
	return int64(binary.BigEndian.Uint64(recordKey[recordKeyLen-8:]))
}

func commitKey(topic uint32, partition int, group string) []byte {
	return append(partitionKey(commitPrefix, topic, partition), group...)
}

func offsetValue(offset int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(offset)) }

// A record's value is its append time, post, low (8 bytes each), the length of
// the key (4), the key and the value.
const recordHeaderLen = 3*8 + 4

var errShortValue = fmt.Errorf("%w: a stored value is shorter than its layout says", readonly.ErrDamaged)

func recordLen(r *eventlog.Record) int { return recordHeaderLen + len(r.Key) + len(r.Value) }

// putRecord encodes r into dst, which has recordLen(r) bytes.
func putRecord(dst []byte, r *eventlog.Record, appended int64) {
	binary.BigEndian.PutUint64(dst, uint64(appended))
	binary.BigEndian.PutUint64(dst[8:], uint64(r.Post))
	binary.BigEndian.PutUint64(dst[16:], uint64(r.Low))
	binary.BigEndian.PutUint32(dst[24:], uint32(len(r.Key)))
	copy(dst[recordHeaderLen+copy(dst[recordHeaderLen:], r.Key):], r.Value)
}

// header is what can be known of a record without copying it.
type header struct {
	appended  time.Time
	post, low feed.PostID
	keyLen    int
}

func headerOf(value []byte) (header, error) {
	if len(value) < recordHeaderLen {
		return header{}, errShortValue
	}
	h := header{
		appended: time.Unix(0, int64(binary.BigEndian.Uint64(value))),
		post:     feed.PostID(binary.BigEndian.Uint64(value[8:])),
		low:      feed.PostID(binary.BigEndian.Uint64(value[16:])),
		keyLen:   int(binary.BigEndian.Uint32(value[24:])),
	}
	if len(value)-recordHeaderLen < h.keyLen {
		return header{}, errShortValue
	}
	return h, nil
}

// recordOf decodes a record into memory of its own.
func recordOf(key, value []byte, partition int) (eventlog.Record, error) {
	h, err := headerOf(value)
	if err != nil {
		return eventlog.Record{}, err
	}
	own := append([]byte(nil), value[recordHeaderLen:]...)
	return eventlog.Record{
		Key:        own[:h.keyLen:h.keyLen],
		Value:      own[h.keyLen:],
		Post:       h.post,
		Low:        h.low,
		Partition:  partition,
		Offset:     offsetOf(key),
		AppendTime: h.appended,
	}, nil
}
