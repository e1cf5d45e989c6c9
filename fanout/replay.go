package fanout

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"skein/fanout/eventlog"
	"skein/feed"
	eventv1 "skein/proto/event/v1"
)

// Aside is a record that was set aside and not replayed since: at the command line,
// a dead letter.
type Aside struct {
	// Offset names it; it never changes.
	Offset int64
	Time   time.Time
	// Post and Author are 0 where the record concerned no post that existed.
	Post   feed.PostID
	Author feed.UserID
	// Lane is where it could not be handled, Reason why.
	Lane, Reason string
}

// ListAside returns the oldest limit records that are set aside, oldest first, and
// how many there are in all. It asks the log alone, so it works beside any fan-out
// and without one.
func ListAside(ctx context.Context, log eventlog.Log, limit int) (list []Aside, all int, err error) {
	open, _, err := openAside(ctx, log)
	if err != nil {
		return nil, 0, err
	}
	for _, offset := range open {
		if len(list) == limit {
			break
		}
		records, err := log.Read(ctx, topicAside, 0, offset, 1)
		if err != nil {
			return nil, 0, err
		}
		if len(records) == 1 && records[0].Offset == offset {
			list = append(list, asideOf(records[0]))
		}
	}
	return list, len(open), nil
}

func asideOf(r eventlog.Record) Aside {
	a := Aside{Offset: r.Offset, Time: r.AppendTime, Post: r.Post, Lane: "?", Reason: "its own record cannot be read"}
	var m eventv1.SetAside
	if err := decode(r.Value, &m); err == nil {
		a.Author, a.Reason, a.Lane = feed.UserID(m.GetAuthorId()), m.GetReason(), m.GetTopic()
		if name, ok := laneNames[m.GetTopic()]; ok {
			a.Lane = name
		}
	}
	return a
}

// openAside returns the offsets of what is set aside, rising, and where the topic
// ended. It takes some bytes for each.
func openAside(ctx context.Context, log eventlog.Log) (offsets []int64, end int64, err error) {
	committed, err := log.Committed(ctx, groupReplay, topicAside)
	if err != nil {
		return nil, 0, err
	}
	open, end := map[int64]bool{}, committed[0]
	err = eachAside(ctx, log, end, func(r eventlog.Record) error {
		end = r.Offset + 1
		if of, ok := replayedOffset(r); ok {
			delete(open, of)
		} else {
			open[r.Offset] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(open)), end, err
}

// replayedRecord says, in the topic of what was set aside, that the record at
// offset was replayed. So one that still fails does not hold those behind it on the
// list. A program that does not know of such records lists them still, which is
// merely cautious.
func replayedRecord(offset int64) eventlog.Record {
	return eventlog.Record{
		Key:   binary.BigEndian.AppendUint64(nil, uint64(offset)),
		Value: encode(&eventv1.SetAside{Topic: topicAside}),
	}
}

func replayedOffset(r eventlog.Record) (int64, bool) {
	var m eventv1.SetAside
	if len(r.Key) != 8 || r.Post != 0 || decode(r.Value, &m) != nil || m.GetTopic() != topicAside || m.GetAuthorId() != 0 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(r.Key)), true
}

// Replayed is what became of one record in a replay: Err is nil if it is off the
// list, as its post was delivered or there is no post to deliver.
type Replayed struct {
	Aside
	Err error
}

// Replay delivers every post that is set aside to all followers of its author,
// oldest record first, and returns how many records it took off the list; those
// that still cannot be delivered stay, and the error joins why. See ReplaySome.
func (f *Fanout) Replay(ctx context.Context) (int, error) {
	done, failed := 0, error(nil)
	err := f.ReplaySome(ctx, nil, func(r Replayed) {
		if r.Err == nil {
			done++
		} else {
			failed = errors.Join(failed, r.Err)
		}
	})
	return done, errors.Join(failed, err)
}

// ReplaySome delivers the posts of the records at these offsets; of all, for nil. It
// tells each what became of one record after the other, oldest first. What is off
// the list then stays off it after a crash. It goes past the lanes: an old post in
// a lane would break the promise of eventlog.Record.Low. One process may replay at
// a time. The error is of the log, or ctx's; or feed.CodeNotFound for an offset that
// is not on the list, and then nothing was replayed.
func (f *Fanout) ReplaySome(ctx context.Context, offsets []int64, each func(Replayed)) error {
	open, _, err := openAside(ctx, f.cfg.Log)
	if err != nil {
		return err
	}
	if offsets == nil {
		offsets = open
	}
	for _, offset := range offsets {
		if _, ok := slices.BinarySearch(open, offset); !ok {
			return feed.NotFound("nothing is set aside at offset %d", offset)
		}
	}
	offsets = slices.Compact(slices.Sorted(slices.Values(offsets)))
	for _, offset := range offsets {
		records, err := f.cfg.Log.Read(ctx, topicAside, 0, offset, 1)
		if err != nil {
			return err
		}
		if len(records) == 0 || records[0].Offset != offset {
			continue // lost since
		}
		outcome := Replayed{Aside: asideOf(records[0])}
		if err := f.replay(ctx, records[0]); retryable(err) {
			return fmt.Errorf("replay post %d: %w", records[0].Post, err)
		} else if err != nil {
			outcome.Err = fmt.Errorf("replay post %d: %w", records[0].Post, err)
		} else if err := f.cfg.Log.Append(ctx, topicAside, replayedRecord(offset)); err != nil {
			// Only by that record its post leaves the list that readers pull.
			return fmt.Errorf("take offset %d off the list: %w", offset, err)
		}
		each(outcome)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return f.trimAside(ctx)
}

// trimAside moves the replay group up to the first record that is still set aside,
// or to the end as it was when we looked: what comes later stays listed.
func (f *Fanout) trimAside(ctx context.Context) error {
	open, end, err := openAside(ctx, f.cfg.Log)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		end = open[0]
	}
	return f.cfg.Log.Reset(ctx, groupReplay, topicAside, 0, end)
}

func (f *Fanout) replay(ctx context.Context, r eventlog.Record) error {
	var m eventv1.SetAside
	if err := decode(r.Value, &m); err != nil {
		return err
	}
	author := feed.UserID(m.GetAuthorId())
	if !r.Post.Valid() || !author.Valid() {
		return nil // there is no such post any more
	}
	mark := f.cfg.Timelines.Mark()
	err := f.eachPage(ctx, author, feed.AllHashes, listPage, func(page []feed.UserID) error {
		return f.deliverWhole(ctx, r.Post, page)
	})
	if err != nil {
		return err
	}
	return f.cfg.Timelines.Barrier(ctx, mark)
}
