package fanout

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"skein/fanout/eventlog"
)

// consumeLog is a log whose lanes stop when a test says so.
type consumeLog struct {
	eventlog.Log
	consume func(context.Context) error
}

func (l consumeLog) Consume(ctx context.Context, _, _ string, _ func(context.Context, eventlog.Partition) error) error {
	return l.consume(ctx)
}

// A lane that stops again and again joins more and more slowly; after it has worked
// for a while it joins again at once.
func TestALaneThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stopped, calls, pauses := time.Now(), 0, []time.Duration(nil)
		log := consumeLog{consume: func(ctx context.Context) error {
			pauses = append(pauses, time.Since(stopped))
			switch calls++; calls {
			case 11:
				wait(ctx, time.Hour)
			case 12:
				cancel()
			}
			stopped = time.Now()
			return errors.New("it stopped")
		}}
		f := &Fanout{cfg: Config{Log: log, Logger: slog.New(slog.DiscardHandler)}}
		f.consume(ctx, lane{topic: topicParked})
		if pauses[10] != maxPause || pauses[11] != minPause {
			t.Errorf("the pauses were %v", pauses)
		}
	})
}
