package fanout

import (
	"fmt"
	"maps"
	"slices"

	"skein/fanout/eventlog"
)

// later is what a batch leaves to the log, by topic: chunks, deliveries that are
// parked, records that are set aside. The log gets it after the barrier. So a batch
// that is repeated until its deliveries are safe, however often, appends once (F2, F4).
type later map[string][]eventlog.Record

// add does not use Record.Low, which is told when the record is appended.
func (l later) add(topic string, records ...eventlog.Record) {
	l[topic] = append(l[topic], records...)
}

// upstream is the last topic of the flow from which something may still come into
// another. Into what was set aside anything may come, whatever its age.
var upstream = map[string]string{topicLarge: topicPosts, topicBulk: topicPosts, topicParked: topicBulk}

// append gives the log what a batch left to it.
func (f *Fanout) append(l later) error {
	for _, topic := range slices.Sorted(maps.Keys(l)) {
		records := l[topic]
		if last, ok := upstream[topic]; ok {
			low, err := f.progress.lowAfter(f.working, last)
			if err != nil {
				return err
			}
			for i := range records {
				records[i].Low = low
			}
		}
		if err := f.cfg.Log.Append(f.working, topic, records...); err != nil {
			return fmt.Errorf("append to %s: %w", topic, err)
		}
		if topic == topicAside {
			f.metrics.aside.Add(float64(len(records)))
		}
	}
	return nil
}
