package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
)

const (
	// sessionTimeout is how long after its death the partitions of a member are
	// nobody's. Kafka takes no less than 6 s by default.
	sessionTimeout = 8 * time.Second
	// heartbeatEvery is how soon a member learns that another joined or left.
	heartbeatEvery = 500 * time.Millisecond
	// drainTimeout is how long a rebalance waits for handles to return. Who is
	// slower is fenced: its work is repeated by others.
	drainTimeout = 15 * time.Second
	// joinPause is the time between two attempts to join.
	joinPause = 500 * time.Millisecond
)

// handler is what the caller of Consume gave.
type handler = func(context.Context, eventlog.Partition) error

// Consume implements eventlog.Log. A handle that returns nil, or ErrRevoked,
// while its partition is still the member's is called again, from the committed
// offset. Consume outlasts every failure of Kafka: it joins again until ctx ends.
//
// At each change of the membership Kafka takes all partitions from all members
// (the eager protocol). A handle has drainTimeout to return then, and may commit
// until it does; whoever is slower finds itself fenced, with ErrRevoked.
func (l *Log) Consume(ctx context.Context, group, topic string, handle func(context.Context, eventlog.Partition) error) error {
	if group == "" {
		return fmt.Errorf("event log: a group of topic %q has no name", topic)
	}
	t, err := l.topic(topic)
	if err != nil {
		return err
	}
	l.mu.Lock()
	if l.mu.closing {
		l.mu.Unlock()
		return errClosed
	}
	l.consumers.Add(1)
	l.mu.Unlock()
	defer l.consumers.Done()
	if ctx.Err() != nil {
		return nil
	}

	c := &consumer{log: l, topic: t, group: l.group(group, topic), handle: handle}
	c.ctx, c.end = context.WithCancel(ctx)
	defer c.end()
	defer context.AfterFunc(l.live, c.end)()
	if err := c.run(); err != nil {
		return err
	}
	if l.live.Err() != nil {
		return errClosed
	}
	return nil
}

// consumer is one call of Consume at work.
type consumer struct {
	log    *Log
	topic  *topic
	group  string // in Kafka
	handle handler
	ctx    context.Context // ends with the call's context, at Close, and at the first error
	end    context.CancelFunc

	first struct {
		sync.Once
		err error
	}
}

// fail keeps the first error and ends the others.
func (c *consumer) fail(err error) {
	c.first.Do(func() { c.first.err = err })
	c.end()
}

// run takes part in one generation of the group after the other. All handles
// have returned when it leaves the group.
func (c *consumer) run() error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                c.group,
		Brokers:           c.log.brokers,
		Topics:            []string{c.topic.name},
		Dialer:            &kafka.Dialer{ClientID: clientID, Timeout: dialTimeout, DialFunc: c.log.conns.dial},
		HeartbeatInterval: heartbeatEvery,
		SessionTimeout:    sessionTimeout,
		RebalanceTimeout:  drainTimeout,
		JoinGroupBackoff:  joinPause,
		Timeout:           requestTimeout,
		StartOffset:       kafka.FirstOffset,
		Logger:            driverLog(c.log.logger),
	})
	if err != nil {
		return fmt.Errorf("event log: group %s: %w", c.group, err)
	}
	defer func() { _ = group.Close() }() // it returns nil
	for joined := true; ; {
		generation, err := group.Next(c.ctx)
		switch {
		case c.ctx.Err() != nil:
			return c.first.err
		case err != nil:
			if joined && !errors.Is(err, kafka.RebalanceInProgress) {
				c.log.logger.Warn("cannot join a group of the event log; trying again", "group", c.group, "at", c.log.address.String(), "err", err)
				joined = false
			}
		default:
			joined = true
			c.serve(generation)
		}
	}
}

// driverLog takes the driver's lines at debug.
func driverLog(logger *slog.Logger) kafka.LoggerFunc {
	return func(format string, args ...any) {
		if logger.Enabled(context.Background(), slog.LevelDebug) {
			logger.Debug("kafka: " + fmt.Sprintf(format, args...))
		}
	}
}
