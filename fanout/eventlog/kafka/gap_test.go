package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"skein/fanout/eventlog"
	"skein/feed"
)

// admin does to a log what operators and time do.
type admin struct {
	t      *testing.T
	client *kgo.Client
	topic  string
}

func administer(t *testing.T, l *Log) admin {
	client, err := kgo.NewClient(kgo.SeedBrokers(l.brokers...))
	must(t, err)
	t.Cleanup(client.Close)
	return admin{t: t, client: client, topic: l.address.topic(single.Name)}
}

// forget removes the records below an offset, as retention does.
func (a admin) forget(below int64) {
	a.t.Helper()
	partition := kmsg.NewDeleteRecordsRequestTopicPartition()
	partition.Offset = below
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = a.topic, append(topic.Partitions, partition)
	request := kmsg.NewDeleteRecordsRequest()
	request.Topics = append(request.Topics, topic)
	request.TimeoutMillis = 10_000
	res, err := request.RequestWith(a.t.Context(), a.client)
	must(a.t, err)
	if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
		a.t.Fatalf("deleting records: code %d", code)
	}
}

// drop deletes the topic, and returns when it is gone.
func (a admin) drop() {
	a.t.Helper()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = kmsg.StringPtr(a.topic)
	request := kmsg.NewDeleteTopicsRequest()
	request.TopicNames, request.Topics = []string{a.topic}, append(request.Topics, topic)
	request.TimeoutMillis = 10_000
	res, err := request.RequestWith(a.t.Context(), a.client)
	must(a.t, err)
	if code := res.Topics[0].ErrorCode; code != 0 {
		a.t.Fatalf("deleting the topic: code %d", code)
	}
	for pause := newPause(); ; pause.wait(a.t.Context()) {
		name := kmsg.NewMetadataRequestTopic()
		name.Topic = kmsg.StringPtr(a.topic)
		metadata := kmsg.NewMetadataRequest()
		metadata.Topics = append(metadata.Topics, name)
		res, err := metadata.RequestWith(a.t.Context(), a.client)
		must(a.t, err)
		if res.Topics[0].ErrorCode == 3 { // UNKNOWN_TOPIC_OR_PARTITION
			return
		}
	}
}

// low asks for the bound and the count of the one partition.
func low(t *testing.T, l *Log) (feed.PostID, int64) {
	t.Helper()
	pending, err := l.Pending(t.Context(), group, single.Name)
	must(t, err)
	return pending[0].Low, pending[0].Count
}

// TestGapByRetention: records that went before the group read them are a gap
// (the log that forgets), told once, to members at work and to new ones; until
// then no bound passes them.
func TestGapByRetention(t *testing.T) {
	t.Parallel()
	l := opened(t, place(t), single)
	a := administer(t, l)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 10)...))
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error { return p.Commit(ctx, 3) })
	a.forget(6)
	if bound, count := low(t, l); bound > 4 || count == 0 {
		t.Errorf("records 3 to 5 are lost and undone; pending are %d, from %d on", count, bound)
	}
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		next, err := expect(ctx, p, true, "6", "7", "8", "9")
		if err != nil {
			return err
		}
		if err := p.Commit(ctx, next); err != nil {
			return err
		}
		if err := l.Append(ctx, single.Name, numbered(10, 10)...); err != nil {
			return err
		}
		a.forget(15) // while the member is at work
		next, err = expect(ctx, p, true, "15", "16", "17", "18", "19")
		return errors.Join(err, p.Commit(ctx, next-1))
	})
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		_, err := expect(ctx, p, false, "19")
		return err
	})
	if bound, count := low(t, l); bound != 20 || count != 1 {
		t.Errorf("pending are %d, from %d on", count, bound)
	}
}

// TestGapOfNewGroup: a group that has committed nothing, of a partition that has
// lost records, never read them.
func TestGapOfNewGroup(t *testing.T) {
	t.Parallel()
	l := opened(t, place(t), single)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 5)...))
	administer(t, l).forget(2)
	if bound, count := low(t, l); bound > 1 || count < 3 {
		t.Errorf("pending are %d, from %d on", count, bound)
	}
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		b, err := p.Fetch(ctx, 1)
		if err != nil || !b.Gap || b.Next != 2 {
			return errors.Join(err, errors.New("the first batch is no gap"))
		}
		return p.Commit(ctx, b.Next)
	})
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		_, err := expect(ctx, p, false, "2", "3", "4")
		return err
	})
	if bound, count := low(t, l); bound != 3 || count != 3 {
		t.Errorf("after the gap was told pending are %d, from %d on", count, bound)
	}
}

// TestGapTopicMadeAgain: a topic that was deleted and made again under a member
// is a gap, and the group goes on at its beginning. Who makes it is told.
func TestGapTopicMadeAgain(t *testing.T) {
	t.Parallel()
	url := place(t)
	l := opened(t, url, single)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 10)...))
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		next, err := expect(ctx, p, false, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		if err != nil {
			return err
		}
		if err := p.Commit(ctx, next); err != nil {
			return err
		}
		administer(t, l).drop()
		var missing []string
		if err := Migrate(ctx, url, []eventlog.Topic{single}, MigrateOptions{
			Logger:       quiet,
			BeforeMaking: func(_ context.Context, topics []string) error { missing = topics; return nil },
		}); err != nil {
			return err
		}
		if strings.Join(missing, " ") != single.Name {
			t.Errorf("told before making: %v", missing)
		}
		if err := l.Append(ctx, single.Name, numbered(20, 3)...); err != nil {
			return err
		}
		next, err = expect(ctx, p, true, "20", "21", "22")
		if err != nil {
			return err
		}
		return p.Commit(ctx, next)
	})
	committed, err := l.Committed(t.Context(), group, single.Name)
	if err != nil || committed[0] != 3 {
		t.Errorf("committed %v, %v; want 3", committed, err)
	}
}

// TestGapEndMovedBack: a partition that ends before what the group committed, as
// after an unclean election, is a gap; the group goes on at its beginning, and
// until it knows no bound passes anything.
func TestGapEndMovedBack(t *testing.T) {
	t.Parallel()
	l := opened(t, place(t), single)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 3)...))
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error { return p.Commit(ctx, 50) })
	if bound, count := low(t, l); bound != 0 || count < 1 {
		t.Errorf("pending are %d, from %d on", count, bound)
	}
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		next, err := expect(ctx, p, true, "0", "1", "2")
		return errors.Join(err, p.Commit(ctx, next-1))
	})
	if bound, count := low(t, l); bound != 3 || count != 1 {
		t.Errorf("after the gap pending are %d, from %d on", count, bound)
	}
}
