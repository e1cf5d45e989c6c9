// Package redis keeps home timelines in a Redis server, where any number of API
// servers and workers share them. It is a cache with the rules of package
// timeline: what Redis loses comes back as rebuilds (T7). It needs Redis 6.2 and
// nothing but its data: no modules, no functions, no settings. It stores no
// posts, no follows, and nothing that could not be thrown away.
//
// # One list, never empty
//
//	deletes      head │ deleted posts        one for each master
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
// # Limits
//
// One server. A script on 1,000 entries holds it up for a third of a
// millisecond. Where maxmemory-policy is not volatile-ttl it evicts readers
// before the absent, as a delivery counts as use; only timelines have a TTL, and
// only Read and Create set it. A master takes a new master_replid also when its
// first replica joins, and when it has had none for repl-backlog-ttl (an hour):
// all timelines are then rebuilt as they are read.
package redis
