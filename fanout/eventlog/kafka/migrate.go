package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
)

// DefaultRetention is how long Kafka keeps records, done or not.
const DefaultRetention = 7 * 24 * time.Hour

// maxReplicas is the replication factor of a cluster that is large enough.
const maxReplicas = 3

// migratePatience bounds Migrate.
const migratePatience = 30 * time.Second

// MigrateOptions say how topics are made. The zero value is the usual one.
type MigrateOptions struct {
	// ReplicationFactor is 0 for 3, or the number of brokers if there are fewer.
	ReplicationFactor int
	// Retention is how long Kafka keeps a record at least, done or not; 0 for
	// DefaultRetention. Work that waits for longer is lost, and every timeline
	// is then rebuilt.
	Retention time.Duration
	// BeforeMaking is called with the topics that are missing, before they are
	// made. A topic that existed before took records with it that nobody had
	// read, and Kafka forgets what groups had committed: the new one looks as if
	// it had never lost any. Where posts exist already, a new life must begin
	// here. An error ends Migrate. Two that run at once may both call it.
	BeforeMaking func(ctx context.Context, topics []string) error
	// Logger is nil for slog.Default().
	Logger *slog.Logger
}

// Migrate makes the topics that are missing, with all settings that matter
// stated. Topics that exist are left as they are, but for the retention of those to be
// kept, and must have the right number of partitions. It may run twice, and twice at
// once.
func Migrate(ctx context.Context, url string, topics []eventlog.Topic, opts MigrateOptions) error {
	a, err := parseURL(url)
	if err != nil {
		return err
	}
	if err := checkTopics(topics); err != nil {
		return err
	}
	l := connect(a, topics, Options{Logger: opts.Logger}.withDefaults())
	ctx, cancel := context.WithTimeout(ctx, migratePatience)
	defer cancel()
	return errors.Join(l.migrate(ctx, topics, opts), l.Close())
}

func (l *Log) migrate(ctx context.Context, topics []eventlog.Topic, opts MigrateOptions) error {
	found, brokers, err := l.layout(ctx, topics)
	if err != nil {
		return err
	}
	var missing []eventlog.Topic
	var names []string
	for i, t := range topics {
		if errors.Is(found[i].Error, kafka.UnknownTopicOrPartition) {
			missing, names = append(missing, t), append(names, t.Name)
		} else if err := l.checkLayout(t, found[i]); err != nil {
			return err
		} else if t.Kept {
			if err := l.keep(ctx, t); err != nil {
				return err
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if opts.BeforeMaking != nil {
		if err := opts.BeforeMaking(ctx, names); err != nil {
			return err
		}
	}
	if err := l.create(ctx, missing, brokers, opts); err != nil {
		return err
	}
	return l.awaitTopics(ctx, topics)
}

// create makes topics. That another did is no error; whether it made the same
// is seen afterwards.
func (l *Log) create(ctx context.Context, topics []eventlog.Topic, brokers int, opts MigrateOptions) error {
	replicas := opts.ReplicationFactor
	if replicas == 0 {
		replicas = min(maxReplicas, brokers)
	}
	if opts.Retention == 0 {
		opts.Retention = DefaultRetention
	}
	request := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		retention := strconv.FormatInt(opts.Retention.Milliseconds(), 10)
		if t.Kept {
			retention = forever
		}
		request.Topics = append(request.Topics, kafka.TopicConfig{
			Topic:             l.address.topic(t.Name),
			NumPartitions:     t.Partitions,
			ReplicationFactor: replicas,
			ConfigEntries: []kafka.ConfigEntry{
				{ConfigName: "cleanup.policy", ConfigValue: "delete"},
				{ConfigName: retentionTime, ConfigValue: retention},
				{ConfigName: "retention.bytes", ConfigValue: "-1"},
				{ConfigName: "min.insync.replicas", ConfigValue: strconv.Itoa(min(2, replicas))},
				{ConfigName: "unclean.leader.election.enable", ConfigValue: "false"},
				{ConfigName: "max.message.bytes", ConfigValue: strconv.Itoa(defaultBatchLimit)},
				{ConfigName: "message.timestamp.type", ConfigValue: "CreateTime"},
			},
		})
	}
	return l.ask(ctx, "make the event log's topics", func(ctx context.Context) error {
		res, err := l.client.CreateTopics(ctx, request)
		if err != nil {
			return err
		}
		for name, err := range res.Errors {
			if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
				return fmt.Errorf("topic %s: %w", name, err)
			}
		}
		return nil
	})
}

// keep makes a topic that exists keep its records for ever, and waits until every
// broker that is asked says so.
func (l *Log) keep(ctx context.Context, t eventlog.Topic) error {
	name := l.address.topic(t.Name)
	request := &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: name,
		Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: retentionTime, Value: forever}},
	}}}
	for pause := newPause(); ; pause.wait(ctx) {
		settings, err := l.settings(ctx, []eventlog.Topic{t})
		if err != nil || settings[name].config[retentionTime] == forever {
			return err
		}
		err = l.ask(ctx, "set the retention of topic "+name, func(ctx context.Context) error {
			res, err := l.client.IncrementalAlterConfigs(ctx, request)
			if err != nil {
				return err
			}
			return res.Resources[0].Error
		})
		if err != nil {
			return err
		}
	}
}

// awaitTopics waits until all topics are there with a leader each, as making
// them takes effect later, and checks them.
func (l *Log) awaitTopics(ctx context.Context, topics []eventlog.Topic) error {
	for pause := newPause(); ; pause.wait(ctx) {
		found, _, err := l.layout(ctx, topics)
		if err != nil {
			return err
		}
		ready := true
		for i, t := range topics {
			if found[i].Error != nil && transient(found[i].Error) || !led(found[i]) {
				ready = false
			} else if err := l.checkLayout(t, found[i]); err != nil {
				return err
			}
		}
		if ready {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("topics in %v were made and have no leaders yet; run migrate again: %w", l.address, ctx.Err())
		}
	}
}

// led reports whether every partition has a leader. The driver shows none as a
// broker without a host.
func led(t kafka.Topic) bool {
	for _, p := range t.Partitions {
		if p.Leader.Host == "" {
			return false
		}
	}
	return true
}
