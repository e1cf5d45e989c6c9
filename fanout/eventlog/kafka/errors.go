package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"skein/fanout/eventlog"
	"skein/feed"
)

var errClosed = feed.Unavailable("use the event log", errors.New("it is closed"))

// translate is where every error of the driver ends.
func (l *Log) translate(doing string, err error) error {
	var ours *feed.Error
	switch {
	case err == nil, errors.Is(err, eventlog.ErrRevoked), errors.As(err, &ours):
		return err
	case fenced(err):
		return eventlog.ErrRevoked
	case tooLarge(err):
		return feed.Invalid(feed.Violation{
			Field: "records", Description: "are larger than Kafka takes; raise max.message.bytes of the topic",
		})
	}
	return feed.Unavailable(doing, fmt.Errorf("%v: %w", l.address, err))
}

func tooLarge(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge)
}

// fenced reports that the coordinator of a group no longer takes the caller for
// a member of the present generation.
//
// A commit of the present generation is accepted until the next one forms. When
// RebalanceInProgress is the answer, that has happened.
func fenced(err error) bool {
	return errors.Is(err, kafka.IllegalGeneration) || errors.Is(err, kafka.UnknownMemberId) ||
		errors.Is(err, kafka.RebalanceInProgress) || errors.Is(err, kafka.FencedInstanceID)
}

// transient reports whether a request may succeed later, unchanged. What is no
// answer of Kafka's is a matter of the network, or of an old copy of the
// cluster's layout.
func transient(err error) bool {
	var code kafka.Error
	if !errors.As(err, &code) {
		return true
	}
	return code.Temporary() || code == kafka.BrokerNotAvailable || code == kafka.Unknown
}

// ask carries a request out, again and again while it fails for a passing
// reason, for callPatience or until ctx ends. It bounds how many requests, and
// so connections, a log has at a time. doing is for the error.
func (l *Log) ask(ctx context.Context, doing string, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	defer context.AfterFunc(l.closing, cancel)()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return feed.Unavailable(doing, ctx.Err())
	}
	for pause := newPause(); ; pause.wait(ctx) {
		err := request(ctx)
		if err != nil && transient(err) && !errors.Is(err, context.Canceled) {
			l.failures.Add(1)
		}
		if err == nil || !transient(err) || ctx.Err() != nil {
			return l.translate(doing, err)
		}
		l.logger.Debug("kafka: trying again", "doing", doing, "err", err)
	}
}

const (
	minPause = 10 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// pause waits between attempts, twice as long each time.
type pause struct{ next time.Duration }

func newPause() *pause { return &pause{next: minPause} }

func (p *pause) wait(ctx context.Context) {
	t := time.NewTimer(p.next)
	defer t.Stop()
	p.next = min(2*p.next, maxPause)
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
