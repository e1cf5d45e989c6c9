package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
	"skein/feed"
)

// none is the committed offset of a partition of which a group committed nothing.
const none = -1

// committed asks what a group committed of each partition.
func (l *Log) committed(ctx context.Context, t *topic, group string) ([]position, error) {
	partitions := make([]int, t.Partitions)
	for i := range partitions {
		partitions[i] = i
	}
	positions := make([]position, t.Partitions)
	err := l.ask(ctx, "ask for the committed offsets of topic "+t.name, func(ctx context.Context) error {
		res, err := l.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
			GroupID: l.group(group, t.Name), Topics: map[string][]int{t.name: partitions},
		})
		if err != nil {
			return err
		}
		for i := range positions {
			positions[i] = position{offset: none}
		}
		if res.Error != nil && !errors.Is(res.Error, kafka.GroupIdNotFound) {
			return res.Error
		}
		for _, p := range res.Topics[t.name] {
			if p.Error != nil {
				return p.Error
			}
			if p.Partition >= 0 && p.Partition < len(positions) {
				positions[p.Partition] = position{p.CommittedOffset, p.Metadata}
			}
		}
		return nil
	})
	return positions, err
}

// Committed implements eventlog.Log. Of what a group has not committed yet, or what
// the log has lost since, it is the oldest record kept.
func (l *Log) Committed(ctx context.Context, group, topic string) ([]int64, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	positions, err := l.committed(ctx, t, group)
	if err != nil {
		return nil, err
	}
	lost, err := l.lost(ctx, t, group, positions)
	if err != nil {
		return nil, err
	}
	offsets := make([]int64, len(positions))
	for i, p := range positions {
		if offsets[i] = p.offset; lost[i] {
			offsets[i] = none
		}
	}
	return offsets, l.fillFirst(ctx, t, offsets)
}

// fillFirst replaces none by where the partition begins.
func (l *Log) fillFirst(ctx context.Context, t *topic, offsets []int64) error {
	var first []int64
	for i := range offsets {
		if offsets[i] != none {
			continue
		}
		if first == nil {
			var err error
			if first, err = l.ends(ctx, t, kafka.FirstOffset); err != nil {
				return err
			}
		}
		offsets[i] = first[i]
	}
	return nil
}

// commit moves a group's offset of one partition, in the name of a member or,
// with generation -1 and no member, of nobody: then Kafka refuses if there are
// members.
func (l *Log) commit(ctx context.Context, t *topic, group string, generation int, member string, partition int, to position) error {
	return l.ask(ctx, "commit an offset of topic "+t.name, func(ctx context.Context) error {
		res, err := l.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
			GroupID: group, GenerationID: generation, MemberID: member,
			Topics: map[string][]kafka.OffsetCommit{t.name: {{Partition: partition, Offset: to.offset, Metadata: to.print}}},
		})
		if err != nil {
			return err
		}
		for _, p := range res.Topics[t.name] {
			if p.Error != nil {
				return p.Error
			}
		}
		return nil
	})
}

// Reset implements eventlog.Log. That the group has no member is decided by
// Kafka in the same step. A member that was killed counts for sessionTimeout.
func (l *Log) Reset(ctx context.Context, group, topic string, partition int, offset int64) error {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return err
	}
	defer leave()
	if err := t.check(partition); err != nil {
		return err
	}
	if group == "" {
		return fmt.Errorf("event log: a group of topic %q has no name", topic)
	}
	first, err := l.ends(ctx, t, kafka.FirstOffset)
	if err != nil {
		return err
	}
	last, err := l.ends(ctx, t, kafka.LastOffset)
	if err != nil {
		return err
	}
	to := position{offset: min(max(offset, first[partition]), last[partition])}
	if to.offset > first[partition] {
		records, err := l.read(ctx, t, partition, to.offset-1, 1)
		if err != nil {
			return err
		}
		if len(records) > 0 && records[0].Offset == to.offset-1 {
			to.print = fingerprint(&records[0])
		}
	}
	err = l.commit(ctx, t, l.group(group, t.Name), -1, "", partition, to)
	if errors.Is(err, eventlog.ErrRevoked) {
		return feed.Invalid(feed.Violation{
			Field:       "group",
			Description: fmt.Sprintf("%q has members in topic %q; stop them before its offsets are moved", group, t.name),
		})
	}
	return err
}
