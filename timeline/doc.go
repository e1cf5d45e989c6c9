// Package timeline is the contract of the store of home timelines, and the pure
// merge of what comes from it with what comes from storage. It is a cache with
// memory of its own limits: an entry may be lost, but never without the loss
// showing in the coverage. Engines are its subfolders; timelinetest holds the
// suite that each must pass. It knows no posts, no authors and no storage: an
// entry is an id.
//
// # A stored timeline
//
//	newest ── entries, by falling id ── oldest │ bottom
//
// It is live, or it is being built, or it is absent. It holds every post that
// was to be delivered to its viewer since it was created, and, once finished,
// every post of those whom the viewer followed at its follow version, as far as
// the ids lie above the bottom. It is capped: what the cap drops raises the
// bottom. It vanishes as a whole (evicted, expired, dropped, lost with its
// server), never in part.
//
// # Building
//
//	absent ──Create──► building ──Finish──► live
//	   ▲                  │ evicted, dropped, or taken over by another Create
//	   └──────────────────┴──────────────────────────┘
//
// The builder creates the timeline first, so that deliveries land in it, then
// scans storage, then finishes: the entries of both are joined. A Finish whose
// build token is no longer there changes nothing, as then deliveries may have
// been missed in between.
//
// # Freshness
//
// Announce tells all servers of an act that no cached copy may contradict. A
// reader compares the Position read with a page to the one that its copies bear.
// Shards fail one by one, so each has a position of its own, and every delete is
// announced to all of them.
package timeline
