// Package embedded keeps posts and the graph in a folder of this machine, with
// Pebble, for one process. It is not shared between processes (a lock sees to
// that), and it is no cache: everything that it acknowledges is on disk.
//
// # A post is written in two steps
//
// Pebble shows a batch before its write-ahead log is synced. A post written with
// its event in one batch could thus be read, and lost by a crash a moment later.
// So CreatePost first commits the event row, with the whole post in it and the
// idempotency key beside it, and waits for the disk. Nothing that readers see
// changes by that. Then it commits the post row and the author's index row, and
// does not wait: should a crash lose them, Open makes them again from the event
// row before it serves anyone (W1, W2).
//
//	step 1, synced    event, key          crash after it: Open completes the post
//	the id still young?                   no: step 1 is taken back, feed.ErrLate
//	step 2, unsynced  post, index         visible from here on
//	Relay             event removed       after publish; never before step 2
//
// The event row is also the outbox. A marker of its own for events whose step 2
// is done would cost a row per post and tell nothing that the set of posts being
// written, in memory, does not tell: after a crash that set is empty and every
// event is completed. As the event row shows before the id's age is looked at
// for the last time, OldestEvent never passes an id that will still commit.
//
// Relay needs no sync of its own: an event that is not being written any more
// was synced by its writer, and Open flushes what it replays.
//
// The log is written in order, so what a later synced batch promises includes
// every batch before it. That is why removals after publish are not synced: lost,
// they are repeated.
//
// # Concurrency
//
// Read-check-write is serialised per user and per post by striped locks, held
// while a batch becomes visible and released before the wait for the disk. Who
// finds nothing to do (an edge that exists, a post that is gone) may have seen
// a batch that is not durable yet, and waits for the disk too before saying so.
//
// Counts of followers are merged by Pebble, not read and written, so an author
// whom everybody follows is no hot lock.
//
// # When the disk fails
//
// After a failed write no state of the file can be trusted, so the store fails
// once and for good: it is marked, Options.OnFatal is called (it ends the process
// unless told otherwise), and every later call is feed.CodeUnavailable. The mark
// is set below Pebble, by the file system wrapper that sees the error first,
// because Pebble answers some of them by breaking its own locks; and every commit
// looks at the mark after Pebble has returned and before anybody is told, because
// Pebble's Apply reports success when its logger's Fatalf returns. A failed store
// is not closed: its memory and its lock live until the process ends.
package embedded
