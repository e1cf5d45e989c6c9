// Package redis keeps home timelines in a Redis server or a Redis Cluster, where any
// number of API servers and workers share them. It is a cache with the rules of
// package timeline: what Redis loses comes back as rebuilds (T7). It needs Redis 6.2
// and nothing but its data: no modules, no functions, no settings. It stores no
// posts, no follows, and nothing that could not be thrown away.
//
// # One list, never empty
//
//	deletes      head │ deleted posts        one for each shard
//	barrier      what barriers write         one for each master
//	t:{viewer}   … pushed since │ sorted, newest first … │ header
//
// A timeline is one list whose last element is its header, so it is there when
// it has no entries, it is evicted and expires as a whole, and a delivery is a
// blind LPUSHX: nothing where there is no list, else the new length. All else is
// a script, one atomic step on this one key.
//
// # What is sorted
//
// The header says how many entries, counted from its end, were sorted when the
// list was last written anew: by Finish, by Fold, by the cut at a quarter above
// the cap, or by a Read that found more than a quarter of the cap pushed since. A
// page is made of everything pushed since and of the first of the sorted part.
// So a prefix is enough, and complete by its construction: no rule about how late
// a delivery may be, no clock, and no mark on a list that one broke.
//
// To cut a list is mostly to tidy its ends (tidy.lua): what was pushed since
// is put in order, with those few of the sorted part that it belongs between, and the
// tail is cut off. Only where something joins, or came very late, is it sorted whole.
//
// (The other way is to take a prefix as complete above its last id plus the
// longest delay of a delivery, and to mark lists that got a later one. It reads
// some 100 entries less, 8 µs of the server's time in the mean, and fails
// where entries stand closer than that delay.)
//
// # Whose life it is
//
// Redis acknowledges before it replicates and starts again from old snapshots: a
// list comes back with its header and without its last entries. So the header
// bears the master_replid under which it was created, which no other life of a
// server has, and each script compares it with that of the server that runs it.
// A list of another life is absent to Read, Create, Finish and Fold. Deliveries
// still reach it, in vain, until its cut removes it or it expires. INFO costs
// 2 µs in a script.
//
// # Freshness
//
// The header also bears the viewer's Acts, a number drawn anew for each act and
// each Create. With the list they are evicted, expire and come back from a
// snapshot, so they cannot be newer or older than it; a key of their own could.
// Acts and tokens are random, so a server that was emptied gives none again. The
// log of deletes has an id for each of its lives; a position names it.
//
// # Interleavings
//
//   - Create, Finish, Fold, a cut, an act, a Read: each is one script, so they
//     happen in some order, and Read sees entries, header and stamp of one moment.
//   - LPUSHX between Create and Finish lands in the list and is joined; between a
//     cut and the answer that led to it: the cut looks at the length again.
//   - A restart between two scripts: the second finds another stamp, or nothing.
//     A restart within a pipeline ends its connection.
//   - A command repeated because its answer was lost: LPUSHX leaves a repeat,
//     which readers and cuts drop; Create knows its own token; Finish and Fold are
//     refused, as after any other that came between; Announce announces again.
//   - SCRIPT FLUSH, or a restart: NOSCRIPT; the scripts are told again, and the
//     pipeline is repeated.
//
// # Cluster
//
// A server is a cluster of one master; the same code serves both. Every key of a
// viewer lies in one slot, and no command names two keys. A shard is a range of
// 1,024 slots, whoever serves them, so a failing master fails its shards alone. Each
// shard has a log of deletes, in its first slot: keys follow their slots wherever
// these go, so nobody need know all masters to tell each of a delete.
//
// The view (view.go) says which master serves which slot. It is what all servers
// say, merged by epoch, and is asked for anew when something contradicts it: MOVED,
// a master that does not answer, a Barrier in doubt; of the servers of the URL if those
// that are known do not answer. Nothing runs in the background.
// MOVED and ASK are followed, command by command. (The driver's cluster client does
// that too, but hides which master has acknowledged what, which a Barrier must know.)
//
// A list bears the stamp of the master that built it, so it is absent after a
// failover, and after its slot has moved: both are rebuilds, never gaps.
//
// # Barriers
//
// What remains is the delivery that a deposed master acknowledges: its successor has
// built the timeline before, from storage, and never hears of the post. So a Barrier
// has each master that was used write, and wait for its replicas, after the delivery:
//
//   - A replica that was promoted has left its master for good, and acknowledges
//     nothing to it. As many must be attached as the view has that are not failed,
//     and all that are in step must acknowledge. So none was promoted before then.
//     The view is a second old at most: a replica that it does not know has only
//     just joined, and is not promoted yet.
//   - A replica that has failed, or is not in step, does not tell. So the view is then made after the
//     Barrier began, from most of the masters and all replicas that answer: one that
//     was promoted says so itself.
//   - A master that was deposed, became a replica and is master again has another
//     stamp than the one that was noted before the delivery.
//   - A master that has no slots left is refused, deposed or emptied; so is, in any
//     case, one that does not answer.
//   - The view was refreshed between delivery and Barrier: it does not matter, as
//     who was used is noted by server, not looked up in the view.
//   - Another worker's Barrier has found the loss, and the server is not noted any
//     more: it raised the count of losses in the same step, which the Mark of
//     whoever delivered before it is behind. Whoever takes the Mark after it and then
//     uses the server notes it again: noting comes after the acknowledgement, and
//     before Deliver returns.
//
// Announce asks for the same proof of masters that took acts: T4 holds on every
// server, so an act must not end with a deposed one.
//
// # Limits
//
// A script that sorts 1,000 entries holds its server up for a third of a millisecond,
// one that tidies them for a tenth. Where
// maxmemory-policy is not volatile-ttl it evicts readers before the absent, as a
// delivery counts as use; only timelines have a TTL, and only Read and Create set
// it. A master takes a new master_replid also when its first replica joins, and when
// it has had none for repl-backlog-ttl (an hour): all timelines are then rebuilt as
// they are read.
//
// A cluster adds: Where cluster-require-full-coverage is not "no", one master that is
// away stops all. While a master is away and not yet replaced (cluster-node-timeout
// and a second), its shards are parked, and its readers degraded. While a replica is
// away and not yet known to be (the same time), Barriers that concern its master fail.
// Only servers of the cluster may replicate from its masters, as they are counted. A
// move of a slot that is cancelled leaves lists on the server that did not get it:
// finish it (redis-cli --cluster fix), or they are believed when the slot comes there.
// A process that was idle during a failover may read from a deposed master in the
// moment between that one's awakening and its first word with the others: Redis has
// no read that could tell. A slot that goes to another master and back, with a loss of
// data on that one in between (two replicas of which the slower is promoted, or a
// restart from an old snapshot), may bring back a list that nobody read meanwhile,
// under its old stamp and without what was lost: do not move slots back and forth
// through failures.
package redis
