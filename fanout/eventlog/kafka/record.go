package kafka

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"skein/fanout/eventlog"
	"skein/feed"
)

// A record bears one header of 16 bytes: its post and its low, big endian. The
// value stays what the appender gave, so that other tools can read it.
const (
	header    = "skein"
	headerLen = 16
)

// recordOverhead is more than what a record takes in a batch beside its key and
// value: lengths, time, offset and the header.
const recordOverhead = 64

// batchOverhead is more than what a batch takes beside its records.
const batchOverhead = 128

func sizeOf(r *eventlog.Record) int { return recordOverhead + len(r.Key) + len(r.Value) }

// encode makes the driver's records. They can be sent once.
func encode(records []eventlog.Record) kafka.RecordReader {
	out := make([]kafka.Record, len(records))
	for i := range records {
		r := &records[i]
		bounds := binary.BigEndian.AppendUint64(make([]byte, 0, headerLen), uint64(r.Post))
		bounds = binary.BigEndian.AppendUint64(bounds, uint64(r.Low))
		out[i] = kafka.Record{
			Time:    r.AppendTime,
			Value:   kafka.NewBytes(r.Value),
			Headers: []kafka.Header{{Key: header, Value: bounds}},
		}
		if len(r.Key) > 0 {
			out[i].Key = kafka.NewBytes(r.Key)
		}
	}
	return kafka.NewRecordReader(out...)
}

// decode reads records from an offset on. A fetch answers with whole batches, so
// older ones come before them. Control records of transactions, which we never
// write, count as records without content.
func decode(in kafka.RecordReader, partition int, from int64) ([]eventlog.Record, error) {
	var records []eventlog.Record
	for {
		r, err := in.ReadRecord()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		record := eventlog.Record{Partition: partition, Offset: r.Offset, AppendTime: r.Time}
		wanted := r.Offset >= from
		if record.Key, err = own(r.Key, wanted); err != nil {
			return nil, err
		}
		if record.Value, err = own(r.Value, wanted); err != nil {
			return nil, err
		}
		if !wanted {
			continue
		}
		for _, h := range r.Headers {
			if h.Key == header && len(h.Value) == headerLen {
				record.Post = feed.PostID(binary.BigEndian.Uint64(h.Value))
				record.Low = feed.PostID(binary.BigEndian.Uint64(h.Value[8:]))
			}
		}
		records = append(records, record)
	}
}

// own copies bytes out of the driver's pages, if they are wanted, and gives the
// pages back.
func own(b protocol.Bytes, wanted bool) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close()
	if !wanted {
		return nil, nil
	}
	return protocol.ReadAll(b)
}
