package kafka

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

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
