package servertest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"skein/deploy/local/servers"
	"skein/fanout"
	feedv1 "skein/proto/feed/v1"
)

// Kafka forgets, as retention does, a post that no worker has seen (T1). It is pulled
// while nobody works; the workers that come find the gap and distrust every stored
// timeline, so that it is on the one that is built next; and the fan-out goes on.
func TestKafkaForgets(t *testing.T) {
	f := running(t, onServers, "")
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	clients := f.clients(t)
	p, err := newPair(ctx, clients[0])
	must(t, err)
	var seen []int64
	post := func(text string) int64 {
		id, err := p.post(ctx, clients[0], text)
		must(t, err)
		return id
	}
	// await reads on the other server until a post comes from a source. What was on a
	// page must be on all that follow.
	await := func(id int64, source feedv1.Source) {
		t.Helper()
		eventually(t, fmt.Sprintf("post %d comes as %v", id, source), func() bool {
			ids, sources, err := home(ctx, clients[1], p.viewer)
			must(t, err)
			for _, before := range seen {
				if !slices.Contains(ids, before) {
					t.Fatalf("post %d was on the page of %d and is not any more: %v, %v", before, p.viewer, ids, sources)
				}
			}
			at := slices.Index(ids, id)
			if at >= 0 && !slices.Contains(seen, id) {
				seen = append(seen, id)
			}
			return at >= 0 && sources[at] == source
		})
	}
	_, _, err = home(ctx, clients[1], p.viewer) // from now on there is a timeline
	must(t, err)
	await(post("that is delivered"), feedv1.Source_SOURCE_PUSHED)
	eventually(t, "all is committed", func() bool { return len(f.backlog()) == 0 })

	for _, worker := range f.workers {
		worker.signal(t, syscall.SIGTERM)
	}
	for _, worker := range f.workers {
		if code, said := worker.exit(t, patience); code != 0 {
			t.Fatalf("%s: exit %d, %s", worker.name, code, said)
		}
	}
	eventually(t, "that is known", func() bool { return len(f.backlog()) == 0 })
	lost := post("that Kafka forgets")
	eventually(t, "Kafka has it", f.waitsInKafka)
	f.forget(ctx, t)
	pages := 0
	eventually(t, "the top stays below it while Kafka is asked again and again", func() bool {
		await(lost, feedv1.Source_SOURCE_ABOVE_TOP)
		pages++
		return pages == 100
	})

	f.complete(t)
	await(lost, feedv1.Source_SOURCE_REBUILT)
	// Workers that join one after the other may meet the gap twice: its commit ends that,
	// and lets the top pass the post.
	eventually(t, "the gap is committed", func() bool { return len(f.backlog()) == 0 })
	await(lost, feedv1.Source_SOURCE_REBUILT)
	await(post("that comes after"), feedv1.Source_SOURCE_PUSHED)
}

// waitsInKafka reports whether each API server sees a post in Kafka that no worker has
// done. It may be in the outbox before, which does not count.
func (f *fleet) waitsInKafka() bool {
	for _, api := range f.apis {
		lanes, err := api.metrics("skein_lane_backlog")
		if err != nil || !(lanes[`{lane="small"}`] > 0) { // NaN is not
			return false
		}
	}
	return true
}

// forget removes all records of the fleet's posts from Kafka.
func (f *fleet) forget(ctx context.Context, t *testing.T) {
	t.Helper()
	u, err := url.Parse(ours.url(servers.Kafka))
	must(t, err)
	client, err := kgo.NewClient(kgo.SeedBrokers(u.Host))
	must(t, err)
	defer client.Close()
	posts := fanout.Topics()[0] // the one that every post takes
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic = f.name + "." + posts.Name
	for i := range posts.Partitions {
		partition := kmsg.NewDeleteRecordsRequestTopicPartition()
		partition.Partition, partition.Offset = int32(i), -1 // to its end
		topic.Partitions = append(topic.Partitions, partition)
	}
	request := kmsg.NewDeleteRecordsRequest()
	request.Topics, request.TimeoutMillis = append(request.Topics, topic), int32(patience.Milliseconds())
	answer, err := request.RequestWith(ctx, client)
	must(t, err)
	for _, partition := range answer.Topics[0].Partitions {
		must(t, kerr.ErrorForCode(partition.ErrorCode))
	}
}
