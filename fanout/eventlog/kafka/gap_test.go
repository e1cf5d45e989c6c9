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

// TestLostBelowAReset: of a group without members, as the replays have it, nobody
// meets a gap. So what it committed counts for nothing where the log has lost it.
func TestLostBelowAReset(t *testing.T) {
	t.Parallel()
	url := place(t)
	l := opened(t, url, single)
	a := administer(t, l)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 10)...))
	must(t, l.Reset(t.Context(), group, single.Name, 0, 8))
	at, err := l.committed(t.Context(), l.topics[single.Name], group)
	must(t, err)
	for _, left := range []int{4, 20} { // a shorter topic, and one that has grown over
		a.drop()
		a.remade(l, url, 20, left)
		must(t, l.commit(t.Context(), l.topics[single.Name], l.group(group, single.Name), -1, "", 0, at[0]))
		l.failures.Add(1) // as the broker's failure does
		if committed, err := l.Committed(t.Context(), group, single.Name); err != nil || committed[0] != 0 {
			t.Errorf("%d other records: committed %v, %v; want 0", left, committed, err)
		}
	}
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

// remade makes the topic again, with n records from first on.
func (a admin) remade(l *Log, url string, first, n int) {
	a.t.Helper()
	must(a.t, Migrate(a.t.Context(), url, []eventlog.Topic{single}, MigrateOptions{Logger: quiet}))
	must(a.t, l.Append(a.t.Context(), single.Name, numbered(first, n)...))
}

// TestGapGrownOver: a partition that lost what the group had committed, and has other
// records there now and grew beyond, is a gap (T1), to members that join; until they
// know, no bound passes anything. A commit that nothing is known of is believed, and
// so is one whose record went by retention.
func TestGapGrownOver(t *testing.T) {
	t.Parallel()
	url := place(t)
	l := opened(t, url, single)
	a := administer(t, l)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 10)...))
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		b, err := p.Fetch(ctx, 100)
		return errors.Join(err, p.Commit(ctx, b.Next))
	})
	committed, err := l.committed(t.Context(), l.topics[single.Name], group)
	must(t, err)
	if bound, count := low(t, l); bound != feed.MaxPostID || count != 0 {
		t.Errorf("all is committed; pending are %d, from %d on", count, bound)
	}
	a.drop()
	a.remade(l, url, 20, 13)
	// Kafka has dropped the group's commit with the topic: a lost tail leaves it.
	commit := func(at position) {
		t.Helper()
		must(t, l.commit(t.Context(), l.topics[single.Name], l.group(group, single.Name), -1, "", 0, at))
	}
	commit(committed[0])
	l.failures.Add(1) // as the broker's failure does
	if bound, count := low(t, l); bound != 0 || count < 1 {
		t.Errorf("what was committed is lost; pending are %d, from %d on", count, bound)
	}
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		b, err := p.Fetch(ctx, 100)
		if err != nil || !b.Gap || b.Next != 0 {
			t.Errorf("fetched %+v, %v; want a gap", b, err)
		}
		return err // without a commit: it is told again
	})
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		next, err := expect(ctx, p, true, "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32")
		return errors.Join(err, p.Commit(ctx, next-1))
	})
	if bound, count := low(t, l); bound != 33 || count != 1 {
		t.Errorf("after the gap pending are %d, from %d on", count, bound)
	}
	commit(position{offset: 10})
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		_, err := expect(ctx, p, false, "30", "31", "32")
		return err
	})
	commit(committed[0])
	administer(t, l).forget(10) // by the layout as it is now
	if bound, count := low(t, l); bound != 31 || count != 3 {
		t.Errorf("after retention pending are %d, from %d on", count, bound)
	}
	holding(t, l, func(ctx context.Context, p eventlog.Partition) error {
		_, err := expect(ctx, p, false, "30", "31", "32")
		return err
	})
}

// TestGapGrownOverAtWork: so it is to a member at work, when Kafka had failed it; and
// to its next handle, if the first did not commit.
func TestGapGrownOverAtWork(t *testing.T) {
	t.Parallel()
	url := place(t)
	l := opened(t, url, single)
	a := administer(t, l)
	must(t, l.Append(t.Context(), single.Name, numbered(0, 10)...))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	handles := 0
	must(t, l.Consume(ctx, group, single.Name, func(ctx context.Context, p eventlog.Partition) error {
		if handles++; handles == 1 {
			b, err := p.Fetch(ctx, 100)
			if err = errors.Join(err, p.Commit(ctx, b.Next)); err != nil {
				return err
			}
			a.drop()
			away, cancel := context.WithTimeout(ctx, silence)
			defer cancel()
			if _, err := p.Fetch(away, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("without its topic Fetch returned %v", err)
			}
			a.remade(l, url, 20, 13)
		}
		b, err := p.Fetch(ctx, 100)
		if err != nil || !b.Gap || b.Next != 0 {
			t.Errorf("handle %d fetched %+v, %v; want a gap", handles, b, err)
		}
		if handles == 2 {
			cancel()
		}
		return nil
	}))
}
