package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
)

const (
	// fetchBytes bounds what one request takes into memory (F4). Kafka exceeds
	// it by the first batch, which is as large as the topic allows.
	fetchBytes = 1 << 20
	// fetchWait is how long Kafka keeps a request that finds nothing. It answers
	// as soon as there is a record.
	fetchWait = 500 * time.Millisecond
	// noWait is the least that the driver takes.
	noWait = time.Millisecond
)

// fetch asks once for the records of a partition from offset on, and waits for
// the first. None means that there is none yet. The error is the driver's;
// kafka.OffsetOutOfRange says that the partition does not reach so far.
func (l *Log) fetch(ctx context.Context, t *topic, partition int, offset, bytes int64, wait time.Duration) ([]eventlog.Record, error) {
	res, err := l.client.Fetch(ctx, &kafka.FetchRequest{
		Topic: t.name, Partition: partition, Offset: offset,
		MinBytes: 1, MaxBytes: bytes, MaxWait: wait,
	})
	if err != nil {
		return nil, err
	}
	if res.Error != nil {
		return nil, res.Error
	}
	return decode(res.Records, partition, offset)
}

// Read implements eventlog.Log. It may return fewer records than there are; it
// returns none only where there are none.
func (l *Log) Read(ctx context.Context, topic string, partition int, offset int64, limit int) ([]eventlog.Record, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := t.check(partition); err != nil {
		return nil, err
	}
	if limit < 1 {
		return nil, fmt.Errorf("event log: a limit of %d records, need at least 1", limit)
	}
	offset = max(offset, 0)
	records, err := l.read(ctx, t, partition, offset, fetchBytes)
	if errors.Is(err, kafka.OffsetOutOfRange) {
		var first []int64
		if first, err = l.ends(ctx, t, kafka.FirstOffset); err != nil || offset >= first[partition] {
			return nil, err // it lies beyond the end
		}
		records, err = l.read(ctx, t, partition, first[partition], fetchBytes)
	}
	return records[:min(limit, len(records))], err
}

// read is fetch without waiting, tried again; it keeps kafka.OffsetOutOfRange in
// the error's chain.
func (l *Log) read(ctx context.Context, t *topic, partition int, offset, bytes int64) (records []eventlog.Record, err error) {
	err = l.ask(ctx, "read topic "+t.name, func(ctx context.Context) (err error) {
		records, err = l.fetch(ctx, t, partition, offset, bytes, noWait)
		return err
	})
	return records, err
}
