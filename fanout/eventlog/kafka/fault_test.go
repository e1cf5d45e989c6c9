package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"skein/fanout/eventlog"
	"skein/feed"
)

// faulty is a log whose broker, of one process with the test, can be made to
// err.
func faulty(t *testing.T) (*Log, *kfake.Cluster) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	t.Cleanup(cluster.Close)
	return opened(t, "kafka://"+strings.Join(cluster.ListenAddrs(), ","), single), cluster
}

// failing makes the broker answer the next requests of a kind with an error.
func failing(cluster *kfake.Cluster, key kmsg.Key, times int64, answer func(kmsg.Request) kmsg.Response) *atomic.Int64 {
	var asked atomic.Int64
	cluster.ControlKey(key.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if asked.Add(1) > times {
			return nil, nil, false
		}
		return answer(request), nil, true
	})
	return &asked
}

// refuseProduce answers with an error for each partition.
func refuseProduce(t *testing.T, err *kerr.Error) func(kmsg.Request) kmsg.Response {
	return func(request kmsg.Request) kmsg.Response {
		produce := request.(*kmsg.ProduceRequest)
		if produce.Acks != -1 {
			t.Errorf("asked for %d acknowledgements, want -1: all", produce.Acks)
		}
		response := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			answer := kmsg.NewProduceResponseTopic()
			answer.Topic = topic.Topic
			for _, partition := range topic.Partitions {
				refused := kmsg.NewProduceResponseTopicPartition()
				refused.Partition, refused.ErrorCode = partition.Partition, err.Code
				answer.Partitions = append(answer.Partitions, refused)
			}
			response.Topics = append(response.Topics, answer)
		}
		return response
	}
}

// TestAppendErrors: what passes is tried again, what lasts is unavailable in
// bounded time, what is too large is invalid. All replicas must acknowledge (W2).
func TestAppendErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   *kerr.Error
		times int64
		code  feed.Code // CodeInternal for success
		asked int64
	}{
		{kerr.NotLeaderForPartition, 2, feed.CodeInternal, 3},
		{kerr.NotEnoughReplicas, 1, feed.CodeInternal, 2},
		{kerr.NotEnoughReplicas, 1 << 30, feed.CodeUnavailable, 0},
		{kerr.MessageTooLarge, 1 << 30, feed.CodeInvalid, 1},
		{kerr.TopicAuthorizationFailed, 1 << 30, feed.CodeUnavailable, 1},
	} {
		t.Run(c.err.Message, func(t *testing.T) {
			t.Parallel()
			l, cluster := faulty(t)
			asked := failing(cluster, kmsg.Produce, c.times, refuseProduce(t, c.err))
			err := l.Append(t.Context(), single.Name, numbered(0, 3)...)
			if succeeded := err == nil; succeeded != (c.code == feed.CodeInternal) || feed.CodeOf(err) != c.code {
				t.Errorf("Append returned %v", err)
			}
			if n := asked.Load(); c.asked > 0 && n != c.asked {
				t.Errorf("asked %d times, want %d", n, c.asked)
			}
		})
	}
}

// TestEndsOfNewLeader: a leader that does not know yet what was acknowledged
// before it is asked again; its end would hide work.
func TestEndsOfNewLeader(t *testing.T) {
	t.Parallel()
	l, cluster := faulty(t)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 3)...))
	asked := failing(cluster, kmsg.ListOffsets, 2, func(request kmsg.Request) kmsg.Response {
		list := request.(*kmsg.ListOffsetsRequest)
		if list.Version < 5 {
			t.Errorf("version %d does not know the answer", list.Version)
		}
		response := list.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic := kmsg.NewListOffsetsResponseTopic()
		partition := kmsg.NewListOffsetsResponseTopicPartition()
		partition.ErrorCode = kerr.OffsetNotAvailable.Code
		topic.Topic, topic.Partitions = list.Topics[0].Topic, append(topic.Partitions, partition)
		response.Topics = append(response.Topics, topic)
		return response
	})
	if bound, count := low(t, l); bound != 1 || count != 3 {
		t.Errorf("pending are %d, from %d on", count, bound)
	}
	if asked.Load() != 3 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// TestPendingAsksCommitsFirst: work that moves while Pending asks is counted only
// if the ends are asked after the commits.
func TestPendingAsksCommitsFirst(t *testing.T) {
	t.Parallel()
	l, cluster := faulty(t)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 3)...))
	asked := make(chan kmsg.Key, 10)
	for _, key := range []kmsg.Key{kmsg.OffsetFetch, kmsg.ListOffsets} {
		cluster.ControlKey(key.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			asked <- key
			return nil, nil, false
		})
	}
	if _, count := low(t, l); count != 3 {
		t.Errorf("pending are %d", count)
	}
	if first, second, more := <-asked, <-asked, len(asked); first != kmsg.OffsetFetch || second != kmsg.ListOffsets || more != 0 {
		t.Errorf("asked %v, then %v, then %d more", first.Name(), second.Name(), more)
	}
}

// TestNoHeartbeat: a member whose heartbeats are not answered stops its handles, as
// Kafka takes it for dead soon, and goes on in its generation when they are.
func TestNoHeartbeat(t *testing.T) {
	t.Parallel()
	l, cluster := faulty(t)
	var mute atomic.Bool
	cluster.ControlKey(kmsg.Heartbeat.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		refused := request.ResponseKind().(*kmsg.HeartbeatResponse)
		refused.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return refused, nil, mute.Load()
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var first *generation
	must(t, l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
		if g := p.(*assigned).generation; first != nil {
			if g.memberID != first.memberID || g.number != first.number {
				t.Errorf("member %s of generation %d became %s of %d", first.memberID, first.number, g.memberID, g.number)
			}
			cancel()
			return nil
		}
		first = p.(*assigned).generation
		mute.Store(true)
		defer mute.Store(false)
		if _, err := p.Fetch(ctx, 1); !errors.Is(err, eventlog.ErrRevoked) {
			t.Errorf("without an answer Fetch returned %v", err)
		}
		return nil
	}))
}

// TestCommitFails: a handle that returns what its commit failed with, as Kafka went away
// meanwhile, is called again from the committed offset, by the same member in the same
// generation.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	l, cluster := faulty(t)
	failing(cluster, kmsg.OffsetCommit, 2, func(request kmsg.Request) kmsg.Response {
		commit := request.(*kmsg.OffsetCommitRequest)
		response := commit.ResponseKind().(*kmsg.OffsetCommitResponse)
		partition := kmsg.NewOffsetCommitResponseTopicPartition()
		partition.ErrorCode = kerr.GroupAuthorizationFailed.Code // at once, not after callPatience
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic, topic.Partitions = commit.Topics[0].Topic, append(topic.Partitions, partition)
		response.Topics = append(response.Topics, topic)
		return response
	})
	must(t, l.Append(t.Context(), single.Name, numbered(0, 3)...))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var first *generation
	handles := 0
	must(t, l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
		g := p.(*assigned).generation
		if handles++; handles == 1 {
			first = g
		} else if g.memberID != first.memberID || g.number != first.number {
			t.Errorf("member %s of generation %d became %s of %d", first.memberID, first.number, g.memberID, g.number)
		}
		next, err := expect(ctx, p, false, "0", "1", "2")
		if err != nil {
			return err
		}
		err = p.Commit(ctx, next)
		if failed := feed.CodeOf(err) == feed.CodeUnavailable; failed != (handles < 3) {
			t.Errorf("commit %d returned %v", handles, err)
		}
		if handles == 3 {
			cancel()
		}
		return err
	}))
	if handles != 3 {
		t.Errorf("the handle was called %d times", handles)
	}
}

// TestTooLarge: a record that the topic does not take is refused, and those
// that it takes alone are sent in as many batches as needed.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	l := opened(t, place(t), single)
	large := func(size int) eventlog.Record { return eventlog.Record{Key: []byte("k"), Value: make([]byte, size)} }
	err := l.Append(t.Context(), single.Name, large(defaultBatchLimit))
	if feed.CodeOf(err) != feed.CodeInvalid || !strings.Contains(err.Error(), "max.message.bytes") {
		t.Errorf("a record of 1 MiB: %v", err)
	}
	most := defaultBatchLimit - batchOverhead - recordOverhead - 1
	must(t, l.Append(t.Context(), single.Name, large(most), large(1), large(most), large(1000)))
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		for n := 0; n < 4; {
			b, err := p.Fetch(ctx, 10)
			if err != nil || b.Gap {
				return fmt.Errorf("%+v, %w", b, err)
			}
			n += len(b.Records)
		}
		return nil
	})
}
