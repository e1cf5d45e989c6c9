package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
)

// openPatience bounds Open: how long it waits for a broker to answer.
const openPatience = 7 * time.Second

// defaultBatchLimit is Kafka's max.message.bytes, where a broker does not tell.
const defaultBatchLimit = 1 << 20

// Open opens the log at url, kafka://host:port,host:port[/prefix], with these
// topics, which Migrate has made. The prefix (skein by default) begins the names
// of topics and groups, so that several Skeins can share a cluster. It changes
// nothing in Kafka. Its errors say in one line what is wrong and what to do: a
// broker that does not answer, a topic that is missing or has another number of
// partitions, settings that would lose what was acknowledged (W2).
func Open(ctx context.Context, url string, topics []eventlog.Topic, opts Options) (*Log, error) {
	opts = opts.withDefaults()
	a, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if err := checkTopics(topics); err != nil {
		return nil, err
	}
	l := connect(a, topics, opts)
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	if err := l.load(ctx, topics, opts); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func checkTopics(topics []eventlog.Topic) error {
	for _, t := range topics {
		if t.Name == "" || t.Partitions < 1 {
			return fmt.Errorf("event log: topic %q has %d partitions; it needs a name and at least one", t.Name, t.Partitions)
		}
	}
	return nil
}

// load compares the topics with what Kafka says of them.
func (l *Log) load(ctx context.Context, topics []eventlog.Topic, opts Options) error {
	if len(topics) == 0 {
		return errors.New("event log: no topics were named")
	}
	found, brokers, err := l.layout(ctx, topics)
	if err != nil {
		return err
	}
	for i, t := range topics {
		if err := l.checkLayout(t, found[i]); err != nil {
			return err
		}
	}
	settings, err := l.settings(ctx, topics)
	if err != nil {
		return err
	}
	var weak []string
	for i, t := range topics {
		s := settings[l.address.topic(t.Name)]
		s.brokers, s.replicas = brokers, leastReplicas(found[i])
		if s.compacted() {
			return fmt.Errorf("topic %s in %v is compacted, which loses records: set its cleanup.policy to delete", l.address.topic(t.Name), l.address)
		}
		if t.Kept && s.config[retentionTime] != forever {
			return fmt.Errorf("topic %s in %v forgets records by age (%s=%s), and must not; run: skein migrate",
				l.address.topic(t.Name), l.address, retentionTime, s.config[retentionTime])
		}
		if why := s.weakness(); why != "" {
			weak = append(weak, l.address.topic(t.Name)+" "+why)
		}
		limit, err := strconv.Atoi(s.config["max.message.bytes"])
		if err != nil || limit < 1 {
			limit = defaultBatchLimit
		}
		l.topics[t.Name] = &topic{Topic: t, name: l.address.topic(t.Name), limit: limit, marks: make([]marks, t.Partitions)}
	}
	return l.judge(weak, brokers, opts)
}

// Name returns what tells the log at url from others, under whichever addresses: the
// id of the cluster, and the prefix of the topics.
func Name(ctx context.Context, url string) (name string, err error) {
	a, err := parseURL(url)
	if err != nil {
		return "", err
	}
	l := connect(a, nil, Options{}.withDefaults())
	defer func() { err = errors.Join(err, l.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	err = l.ask(ctx, "ask for the cluster's id", func(ctx context.Context) error {
		m, err := l.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{}})
		if err != nil {
			return err
		}
		name = m.ClusterID + "/" + a.prefix
		return nil
	})
	return name, err
}

// judge refuses settings that weaken W2, or says them loudly.
func (l *Log) judge(weak []string, brokers int, opts Options) error {
	switch {
	case len(weak) == 0:
		return nil
	case brokers > 1 && !opts.AllowWeak:
		return fmt.Errorf("%v could lose acknowledged posts: topic %s; use a replication factor of 3 with min.insync.replicas=2 and no unclean leader election, or allow weak settings", l.address, weak[0])
	}
	l.logger.Warn("THE EVENT LOG CAN LOSE ACKNOWLEDGED POSTS when a broker's disk is lost; not for production",
		"at", l.address.String(), "brokers", brokers, "topics", len(weak), "why", "topic "+weak[0])
	return nil
}

// layout returns the topics as Kafka has them, in the order given, and how many
// brokers there are.
func (l *Log) layout(ctx context.Context, topics []eventlog.Topic) (found []kafka.Topic, brokers int, err error) {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = l.address.topic(t.Name)
	}
	err = l.ask(ctx, "reach the event log", func(ctx context.Context) error {
		m, err := l.client.Metadata(ctx, &kafka.MetadataRequest{Topics: names})
		if err != nil {
			return err
		}
		found, brokers = m.Topics, len(m.Brokers)
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("no broker answers: see that Kafka runs and that the URL is right: %w", err)
	}
	return found, brokers, nil
}

func (l *Log) checkLayout(t eventlog.Topic, found kafka.Topic) error {
	name := l.address.topic(t.Name)
	switch {
	case errors.Is(found.Error, kafka.UnknownTopicOrPartition):
		return fmt.Errorf("topic %s is missing in %v; run: skein migrate", name, l.address)
	case found.Error != nil:
		return fmt.Errorf("topic %s in %v is not usable: %w", name, l.address, found.Error)
	case len(found.Partitions) != t.Partitions:
		return fmt.Errorf("topic %s in %v has %d partitions and must have %d, as keys are placed by it: choose another prefix in the URL, or delete the topic and run: skein migrate",
			name, l.address, len(found.Partitions), t.Partitions)
	}
	return nil
}

func leastReplicas(t kafka.Topic) int {
	least := len(t.Partitions[0].Replicas)
	for _, p := range t.Partitions {
		least = min(least, len(p.Replicas))
	}
	return least
}
