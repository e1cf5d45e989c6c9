// Package cassandra keeps posts and the graph in Cassandra (4.1 or newer), for any
// number of processes. It holds no state that another must know: whatever two processes
// must agree on is agreed in the keyspace. It is no cache, and no driver for others.
//
// # What Cassandra does not give
//
// It has no transaction over two partitions, no row locks, no commit order, and no
// clock of its own: of two writes to a cell the one with the higher stamp wins, and the
// other is acknowledged and dropped. A write that failed may appear later, once a hint
// of it is replayed. A lightweight transaction agrees on one partition, at several
// times the price. What follows is how each contract holds all the same.
//
// All reads and writes are QUORUM or LOCAL_QUORUM, and of those under a condition
// SERIAL: a read meets what was acknowledged before it began, and what one read saw the
// next one sees too, since a read repairs what it found on too few nodes.
//
// # A post is a chain of writes
//
//	key      ── a lightweight transaction: of several calls one makes the post (W3)
//	event    ── with the whole post in it; from here on OldestEvent counts the post
//	age      ── Cassandra's clock is asked: too old, it is taken back, feed.ErrLate (W4)
//	post     ── its row and its author's row, both stamped from the id
//	ack
//
// Every process that sees the event may write the post again: same rows, same stamp,
// no change. A delete is stamped one microsecond above, so it outlasts all of these,
// whatever clock the deleting process has. Interleavings:
//
//   - Killed after the event: the relay that inherits it writes the post (W1), after it
//     has seen the event for metTime. In that time every process computes a top that is
//     below the event, so that the post, once visible, is pulled until it is delivered.
//   - Killed after the post, not acknowledged: the relay writes both rows again, and
//     publishes. The event is what makes it sure, not the post.
//   - Asleep after the event, then late, while a relay takes it for dead: one row of
//     decisions says, once and for all, whether the post comes to be. The relay asks
//     before it completes a post that nobody has seen, the creator before it takes one
//     back. Whoever is second does what the first decided. In a young id's life neither
//     happens, and nothing is paid.
//   - Asleep between the look at the age and the post: the event is there, and counted.
//     The relay completes it; what the creator writes later changes nothing.
//   - The event's write is acknowledged after its bucket was dropped: then the id is
//     older than settled, hence late, and gets another id in an open bucket. The
//     process's own clock would not know: that of a virtual machine may have stood
//     still with it. So Cassandra's is asked once the event is there, with one question
//     for all posts that wait.
//   - The event's write fails, and it appears later: nobody acknowledged it. In an open
//     bucket it is completed (that may have happened), in a dropped one it is not seen.
//   - A retry with the key of a call that died: it waits for the first call's event to be
//     completed, and after metTime does so itself, as a relay may have a long way to it;
//     if its id is older than settled, by Cassandra's clock, and a look after that finds
//     none, it is decided that nothing comes of that id, and the key gets the retry's.
//   - A call does not know whether it got the key: it asks once more, and if the key
//     stands for its own id goes on. Else every retry would wait for that id.
//   - A delete beside a relay that has read the event: the relay's write is below the
//     delete's stamp. Two deletes: one row of deletes says which was first.
//
// # The outbox
//
// Its partitions are a shard (of the node in the id) and ten seconds of id time, so none
// grows without limit, and both follow from the id. A process takes nodes of one shard,
// its home; events bear the process that wrote them, and a process takes its own. When it
// relays it says every few seconds, in a row that expires, that it does, and whether it
// can publish. Events of others who do not, or who fail to while somebody can, are their
// shard's heir's, which follows from the list of those who publish; if nobody does, as
// when the log is down, from that of all who try, so that each keeps its own. While two
// processes see different lists, an event may be published by both, which F1 allows, or
// wait; none is skipped. That its creator still lives, and may be between event and post,
// does not matter: what a relay completes, and what a creator finds late, is decided.
//
// One statement tells which partitions of eighty seconds hold something; only those are
// read in which a process wrote, or is the heir, and what is others' there is stepped
// over for a while.
//
// A reader keeps the id below which it knows of no event, and begins there: at most
// settled in the past, else at the first event. The first look begins at the first span
// that is registered, and steps over those that are not: a span is registered before its
// first event is written, and until somebody knows that no event is in it. Nothing can
// appear below: an event that is not yet there at that age is late by its own process's
// look. An event is removed by name, never "up to". A finished bucket is dropped as a
// whole, at a stamp above every event that belongs there.
//
// OldestEvent is a lower bound while writes are in flight: a post is visible after its
// event was written at a quorum, and until a relay has published it, every quorum shows
// the event. An event that is written after it answered has an id younger than
// feed.MaxIDAge, by the look that comes after the write, or comes to nothing.
//
// # Follows
//
// The viewer's side, one partition, decides: a head with the version, and a row for
// each author ever followed, with its state. It changes in lightweight transactions
// under the condition that the version is the one that was read, so versions are never
// given twice, and a set is always of one version. The author's side is derived: written
// before the viewer's side says follow, removed after it says no more, so that it always
// lists at least those who follow (F2). Its rows are stamped by the act: max(now, stamp
// of the last act on the set + 2), where the stamp is part of the head and so under its
// condition; a removal is one above its act. Interleavings:
//
//   - An unfollow that removes late, after the same viewer followed again: the follow's
//     row has a higher stamp, and stays.
//   - A follow that lost its condition, or died before it: its row may stay, and lists
//     one who does not follow. A page is checked against whom the viewer follows.
//   - An unfollow that died before the removal: the same; said again, it removes.
//   - Clocks apart: the stamp rises by the head's, not by the clock alone.
//
// An author's followers are in one partition up to wideFrom, and beyond that in 64 more,
// by the first bits of the hash. wide_authors says so before the first one is there.
//
// Follower counts are counters, which are not safe to repeat: a count is off by one when
// a process dies between an edge and its count, and by more when it dies in an import. Nor
// does it take a death: an act whose transaction was in doubt, and applied, may never be
// counted, since who says it again finds it done; and a count in doubt is not said again. An
// import commits each viewer by itself, followers first as everywhere, and may be
// repeated. Its followers and counts are written fifty in a request: one at a time, most
// of an import's processor time was the requests'.
//
// # The shared facts
//
// They are one partition under one version. A change of tier is announced first, then
// looks at the clock, then is made if it is still announced. GetTiers waits for what is
// announced, and after pendingTime calls it off: so a copy that lacks a change was asked
// before that change looked at the clock, however long a commit stalls.
//
// # What it relies on
//
// Three copies of the keyspace, or said loudly. Clocks of the nodes within policy.MaxSkew:
// a process goes by theirs, which it asks at each grant and each look at the outbox; its
// own only tells what has passed since, and may be anything. gc_grace_seconds
// of ten days (Cassandra's default) above the longest outage of a node, with repairs. All
// processes' quorums of the same copies: with LOCAL_QUORUM, and LOCAL_SERIAL with it, two
// data centres of one keyspace would each grant the same lease, and each make a post of
// the same key. So Migrate notes where they agree if there are several, Open refuses
// another place, and no node of another data centre is asked.
//
// # Limits
//
// A removed event leaves one row tombstone, which each look at the outbox reads again until
// its bucket is dropped, or its id is settled and below the first event. So in a partition,
// of one shard and ten seconds, a look passes over as many as there were posts. Cassandra
// counts them for each partition that a statement reads. Above some 100 posts/s in a shard
// (a shard's processes together; there are 8) that is more than its
// tombstone_warn_threshold of 1,000, and each look is a line in its log. Above some 10,000
// it is more than its tombstone_failure_threshold of 100,000: the looks fail, which stops
// relays and tops, and they go on failing until the setting is raised. Raise both in
// cassandra.yaml, above ten times the posts a second of one shard.
//
// decisions and deletes expire after 26 h, an hour after the keys that need them. Whoever
// decides later decides anew. So a creator that sleeps between event and post for longer,
// while a relay completed its event, calls the post late, and its caller posts again; and an
// event that was taken back, and whose removal failed, becomes a post after all if no relay
// came to it for so long.
//
// The 64 further partitions of an author's followers do not become more: of 100 million
// followers each has 1.6 million rows. A viewer's partition keeps a row for each author ever
// followed, also when that ended: one who follows and unfollows without end makes it grow,
// and GetFollowSet reads all of it.
//
// A partition of an author's posts is bounded in time, 398 days of ids, and not in size: one
// who posts each second has 34 million rows in it. Pages are read newest first and bounded
// whatever its size; compaction and repair take it as a whole.
package cassandra
