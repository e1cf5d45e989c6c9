// Package embedded is the event log of a process that has no Kafka beside it: a
// Pebble store in a folder of its own. It survives SIGKILL at any moment. It is
// not shared between processes (the folder is locked), and groups have members
// in this process only.
//
// # Layout
//
//	version                        → 1
//	t name                         → id, partitions    a topic
//	r topic partition offset       → a record
//	f topic partition              → floor: records below it were removed
//	c topic partition group        → committed offset
//
// Numbers in keys are big endian, so that keys sort as numbers do.
//
// # Invariants
//
//  1. What is decided about a topic (an offset given, a commit, a removal) is
//     decided and handed to Pebble under topic.order. Pebble's write-ahead log
//     therefore has the decisions of a topic in the order in which they were
//     made. A crash keeps a prefix of it, which is a state that the log was in:
//     never a commit without the record below it.
//  2. A partition's head moves only after the fsync of the records below it, and
//     no reader sees beyond the head. Pebble itself shows a batch before it is
//     synced. A consumer that read it there could act on a record that a crash
//     takes back, and whose offset the next start gives to another record.
//  3. floor ≤ committed ≤ head, for every group.
//
// The fsync of one batch covers all batches handed over before it, so a head may
// jump past an append whose own wait has not returned yet; that is sound.
//
// A commit moves the group's offset in memory before its fsync, and Commit
// returns after it. Pending may so know of a commit that a crash takes back; the
// work was done all the same, and is done again.
//
// # Locks
//
// topic.order is taken before topic.mu. Neither is held over an fsync: Pebble is
// handed a batch under order (a copy into memory, or a wait when its memtables
// are full, which is our bound on what is not yet written), and waited for
// outside. Calls that only read take topic.mu alone, and only for a moment.
//
// # When the store fails
//
// Pebble answers an error of its write-ahead log with Logger.Fatalf, and when
// that returns, reports success. So a failure is remembered first, then
// Options.OnFatal is called, which normally ends the process. Should it return,
// every call from then on fails, those in flight too, and Close leaves the store
// as a crash would, since Pebble holds locks where it stopped.
package embedded
