package kafka

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"skein/fanout/eventlog"
)

func TestURL(t *testing.T) {
	for _, c := range []struct {
		url, prefix string
		brokers     []string
	}{
		{"kafka://h1", "skein", []string{"h1:9092"}},
		{"kafka://h1:1,h2:2", "skein", []string{"h1:1", "h2:2"}},
		{"kafka://h1:1,h2/", "skein", []string{"h1:1", "h2:9092"}},
		{"kafka://[::1]:1/team.feed_2-x", "team.feed_2-x", []string{"[::1]:1"}},
		{"kafka://[::1]", "skein", []string{"[::1]:9092"}},
	} {
		a, err := parseURL(c.url)
		if err != nil || a.prefix != c.prefix || !slices.Equal(a.brokers, c.brokers) {
			t.Errorf("%s: %+v, %v", c.url, a, err)
		}
	}
	for _, url := range []string{
		"", "h1:1", "redis://h1", "kafka://", "kafka://h1,", "kafka://:1", "kafka://h1:1/a/b", "kafka://h1/ä",
		"kafka://user@h1", "kafka://user@h1:1", "kafka://h1?x=1", "kafka://h1/" + strings.Repeat("x", 101),
	} {
		if a, err := parseURL(url); err == nil || strings.Contains(err.Error(), "user@") {
			t.Errorf("%q was taken for %+v, %v", url, a, err)
		}
	}
}

// refused opens a log, wants one line that says these words, within ten seconds.
func refused(t *testing.T, url string, topics []eventlog.Topic, opts Options, words ...string) {
	t.Helper()
	began := time.Now()
	opts.Logger = quiet
	l, err := Open(t.Context(), url, topics, opts)
	if err == nil {
		t.Errorf("%s was opened; want an error of %q", url, words)
		must(t, l.Close())
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to say: %v", took, err)
	}
}

func TestOpenNoBroker(t *testing.T) {
	t.Parallel()
	refused(t, "kafka://127.0.0.1:1", []eventlog.Topic{single}, Options{}, "kafka at 127.0.0.1:1", "see that Kafka runs")
}

// TestOpenSilentBroker: an address that takes connections and never answers.
func TestOpenSilentBroker(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	refused(t, "kafka://"+silent.Addr().String(), []eventlog.Topic{single}, Options{}, "see that Kafka runs")
}

func TestOpenChecksTopics(t *testing.T) {
	t.Parallel()
	url := place(t)
	refused(t, url, []eventlog.Topic{single}, Options{}, "kafka at", ".posts is missing", "skein migrate")
	must(t, Migrate(t.Context(), url, []eventlog.Topic{single}, MigrateOptions{Logger: quiet}))
	wider := eventlog.Topic{Name: single.Name, Partitions: 2}
	refused(t, url, []eventlog.Topic{wider}, Options{}, "has 1 partitions and must have 2")
	if err := Migrate(t.Context(), url, []eventlog.Topic{wider}, MigrateOptions{Logger: quiet}); err == nil {
		t.Error("Migrate took a topic with another number of partitions")
	}
	refused(t, url, []eventlog.Topic{{Name: "none"}}, Options{}, "0 partitions")
}

// F5: a topic to be kept has no retention: it is made so, one that was made otherwise is
// refused, and Migrate mends it.
func TestKeptTopics(t *testing.T) {
	url := place(t)
	topic := eventlog.Topic{Name: "aside", Partitions: 1}
	must(t, Migrate(t.Context(), url, []eventlog.Topic{topic}, MigrateOptions{Logger: quiet}))
	topic.Kept = true
	refused(t, url, []eventlog.Topic{topic}, Options{}, ".aside", "retention.ms", "skein migrate")
	for range 2 { // mended, and left
		must(t, Migrate(t.Context(), url, []eventlog.Topic{topic}, MigrateOptions{Logger: quiet}))
		l, err := Open(t.Context(), url, []eventlog.Topic{topic}, Options{Logger: quiet})
		must(t, err)
		must(t, l.Close())
	}
	fresh := eventlog.Topic{Name: "fresh", Partitions: 1, Kept: true}
	must(t, Migrate(t.Context(), url, []eventlog.Topic{fresh}, MigrateOptions{Logger: quiet}))
	l, err := Open(t.Context(), url, []eventlog.Topic{fresh}, Options{Logger: quiet})
	must(t, err)
	must(t, l.Close())
}

// TestMigrateTwiceAtOnce: both succeed, and a third has nothing to do.
func TestMigrateTwiceAtOnce(t *testing.T) {
	t.Parallel()
	url := place(t)
	topics := []eventlog.Topic{{Name: "a", Partitions: 3}, {Name: "b", Partitions: 1}, {Name: "c", Partitions: 8}}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := Migrate(t.Context(), url, topics, MigrateOptions{Logger: quiet}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, Migrate(t.Context(), url, topics, MigrateOptions{Logger: quiet, BeforeMaking: func(_ context.Context, topics []string) error {
		t.Errorf("missing: %v", topics)
		return nil
	}}))
	l, err := Open(t.Context(), url, topics, Options{Logger: quiet})
	must(t, err)
	must(t, l.Close())
}

// TestWeakSettings: settings that lose what was acknowledged are refused on a
// cluster that could do better, and said loudly on one that can not (W2).
func TestWeakSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		brokers  int
		replicas int
		config   map[string]string
		allow    bool
		refused  string // "" if it is opened
		warned   bool
	}{
		{name: "sound", brokers: 3, replicas: 3, config: map[string]string{"min.insync.replicas": "2"}},
		{name: "one replica", brokers: 3, replicas: 1, refused: "replication factor of 1"},
		{name: "one replica, allowed", brokers: 3, replicas: 1, allow: true, warned: true},
		{name: "one in sync", brokers: 3, replicas: 3, config: map[string]string{"min.insync.replicas": "1"}, refused: "min.insync.replicas=1"},
		{name: "unclean", brokers: 3, replicas: 3, config: map[string]string{"min.insync.replicas": "2", "unclean.leader.election.enable": "true"}, refused: "unclean.leader.election.enable=true"},
		{name: "one broker", brokers: 1, replicas: 1, warned: true},
		{name: "compacted", brokers: 1, replicas: 1, config: map[string]string{"cleanup.policy": "compact"}, allow: true, refused: "compacted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(c.brokers))
			must(t, err)
			defer cluster.Close()
			url := "kafka://" + strings.Join(cluster.ListenAddrs(), ",")
			makeTopic(t, url, c.replicas, c.config)
			if c.refused != "" {
				refused(t, url, []eventlog.Topic{single}, Options{AllowWeak: c.allow}, ".posts ", c.refused)
				return
			}
			var said bytes.Buffer
			l, err := Open(t.Context(), url, []eventlog.Topic{single}, Options{
				AllowWeak: c.allow, Logger: slog.New(slog.NewTextHandler(&said, nil)),
			})
			must(t, err)
			must(t, l.Close())
			if warned := strings.Contains(said.String(), "CAN LOSE"); warned != c.warned {
				t.Errorf("warned %v: %s", warned, said.String())
			}
		})
	}
}

// makeTopic makes a topic as somebody else would.
func makeTopic(t *testing.T, url string, replicas int, config map[string]string) {
	t.Helper()
	a, err := parseURL(url)
	must(t, err)
	l := connect(a, nil, Options{Logger: quiet})
	defer l.Close()
	topic := kafka.TopicConfig{Topic: a.topic(single.Name), NumPartitions: single.Partitions, ReplicationFactor: replicas}
	for name, value := range config {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	res, err := l.client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
	must(t, err)
	must(t, res.Errors[topic.Topic])
}
