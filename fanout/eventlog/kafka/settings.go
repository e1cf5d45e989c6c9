package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
)

// retentionTime is the setting for how long records are kept.
const (
	retentionTime = "retention.ms"
	forever       = "-1"
)

// settings are what decides whether a topic keeps what it acknowledged.
type settings struct {
	brokers, replicas int
	config            map[string]string
}

func (s settings) compacted() bool {
	return strings.Contains(s.config["cleanup.policy"], "compact")
}

// weakness says how the topic can lose what it acknowledged; "" if it does not.
// A replica more than one must have a record, and the next leader must be one
// that does.
func (s settings) weakness() string {
	insync, err := strconv.Atoi(s.config["min.insync.replicas"])
	if err != nil {
		insync = 1
	}
	switch {
	case s.replicas < 2:
		return "has a replication factor of 1"
	case insync < 2:
		return "has min.insync.replicas=1"
	case s.config["unclean.leader.election.enable"] == "true":
		return "has unclean.leader.election.enable=true"
	}
	return ""
}

// settings asks for the settings of topics, by their name in Kafka.
func (l *Log) settings(ctx context.Context, topics []eventlog.Topic) (map[string]settings, error) {
	request := &kafka.DescribeConfigsRequest{}
	for _, t := range topics {
		request.Resources = append(request.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic,
			ResourceName: l.address.topic(t.Name),
			ConfigNames:  []string{"cleanup.policy", "min.insync.replicas", "unclean.leader.election.enable", "max.message.bytes", retentionTime},
		})
	}
	all := map[string]settings{}
	err := l.ask(ctx, "ask for the settings of the event log's topics", func(ctx context.Context) error {
		res, err := l.client.DescribeConfigs(ctx, request)
		if err != nil {
			return err
		}
		for _, r := range res.Resources {
			if r.Error != nil {
				return fmt.Errorf("topic %s: %w", r.ResourceName, r.Error)
			}
			config := map[string]string{}
			for _, e := range r.ConfigEntries {
				config[e.ConfigName] = e.ConfigValue
			}
			all[r.ResourceName] = settings{config: config}
		}
		return nil
	})
	return all, err
}
