package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"skein/fanout/eventlog"
	"skein/feed"
)

// none is the committed offset of a partition of which a group committed nothing.
const none = -1

// committed asks what a group committed of each partition.
func (l *Log) committed(ctx context.Context, t *topic, group string) ([]int64, error) {
	partitions := make([]int, t.Partitions)
	for i := range partitions {
		partitions[i] = i
	}
	offsets := make([]int64, t.Partitions)
	err := l.ask(ctx, "ask for the committed offsets of topic "+t.name, func(ctx context.Context) error {
		res, err := l.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{
			GroupID: l.group(group, t.Name), Topics: map[string][]int{t.name: partitions},
		})
		if err != nil {
			return err
		}
		for i := range offsets {
			offsets[i] = none
		}
		if res.Error != nil && !errors.Is(res.Error, kafka.GroupIdNotFound) {
			return res.Error
		}
		for _, p := range res.Topics[t.name] {
			if p.Error != nil {
				return p.Error
			}
			if p.Partition >= 0 && p.Partition < len(offsets) {
				offsets[p.Partition] = p.CommittedOffset
			}
		}
		return nil
	})
	return offsets, err
}

// listOffsets is the driver's request for the ends of partitions, without its
// Split, which makes a request of each partition. It goes to one leader.
type listOffsets listoffsets.Request

func (r *listOffsets) ApiKey() protocol.ApiKey { return protocol.ListOffsets }

// Broker returns the leader of the partitions.
func (r *listOffsets) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	return (*listoffsets.Request)(r).Broker(cluster)
}

// ends asks where each partition begins (at is kafka.FirstOffset) or ends
// (kafka.LastOffset), with one request for each leader. A leader that does not
// know yet what its predecessor acknowledged says so, and is asked again.
func (l *Log) ends(ctx context.Context, t *topic, at int64) ([]int64, error) {
	offsets := make([]int64, t.Partitions)
	err := l.ask(ctx, "ask for the ends of topic "+t.name, func(ctx context.Context) error {
		byLeader, err := l.leaders(ctx, t)
		if err != nil {
			return err
		}
		for _, partitions := range byLeader {
			if err := l.endsOf(ctx, t, partitions, at, offsets); err != nil {
				return err
			}
		}
		return nil
	})
	return offsets, err
}

// leaders returns the partitions of each broker, from the transport's copy of
// the layout.
func (l *Log) leaders(ctx context.Context, t *topic) (map[int][]int, error) {
	m, err := l.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{t.name}})
	if err != nil {
		return nil, err
	}
	if len(m.Topics) != 1 || m.Topics[0].Error != nil || len(m.Topics[0].Partitions) != t.Partitions {
		return nil, fmt.Errorf("the layout of topic %s: %w", t.name, kafka.UnknownTopicOrPartition)
	}
	byLeader := map[int][]int{}
	for _, p := range m.Topics[0].Partitions {
		byLeader[p.Leader.ID] = append(byLeader[p.Leader.ID], p.ID)
	}
	return byLeader, nil
}

func (l *Log) endsOf(ctx context.Context, t *topic, partitions []int, at int64, offsets []int64) error {
	request := &listOffsets{ReplicaID: -1, Topics: []listoffsets.RequestTopic{{Topic: t.name}}}
	for _, p := range partitions {
		request.Topics[0].Partitions = append(request.Topics[0].Partitions, listoffsets.RequestPartition{
			Partition: int32(p), CurrentLeaderEpoch: -1, Timestamp: at,
		})
	}
	m, err := l.transport.RoundTrip(ctx, l.client.Addr, request)
	if err != nil {
		return err
	}
	answered := 0
	for _, topic := range m.(*listoffsets.Response).Topics {
		for _, p := range topic.Partitions {
			if p.ErrorCode != 0 {
				return kafka.Error(p.ErrorCode)
			}
			offsets[p.Partition] = p.Offset
			answered++
		}
	}
	if answered != len(partitions) {
		return fmt.Errorf("%d of %d partitions answered", answered, len(partitions))
	}
	return nil
}

// Committed implements eventlog.Log. Of what a group has not committed yet it is
// the oldest record kept.
func (l *Log) Committed(ctx context.Context, group, topic string) ([]int64, error) {
	t, leave, err := l.enter(ctx, topic)
	if err != nil {
		return nil, err
	}
	defer leave()
	offsets, err := l.committed(ctx, t, group)
	if err != nil {
		return nil, err
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
func (l *Log) commit(ctx context.Context, t *topic, group string, generation int, member string, partition int, offset int64) error {
	return l.ask(ctx, "commit an offset of topic "+t.name, func(ctx context.Context) error {
		res, err := l.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
			GroupID: group, GenerationID: generation, MemberID: member,
			Topics: map[string][]kafka.OffsetCommit{t.name: {{Partition: partition, Offset: offset}}},
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
	offset = min(max(offset, first[partition]), last[partition])
	err = l.commit(ctx, t, l.group(group, t.Name), -1, "", partition, offset)
	if errors.Is(err, eventlog.ErrRevoked) {
		return feed.Invalid(feed.Violation{
			Field:       "group",
			Description: fmt.Sprintf("%q has members in topic %q; stop them before its offsets are moved", group, t.name),
		})
	}
	return err
}
