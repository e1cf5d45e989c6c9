// Package memory keeps home timelines in the memory of this process. It is the
// engine of a single process: what it holds is gone when the process ends, and
// comes back as rebuilds (T7). It starts no goroutine and waits for nothing but
// its locks, so it looks at no context.
//
// # Structure
//
// The store is cut into stripes by the low bits of the viewer's id. (They are a
// matter of locking only: of shards, which fail one by one, there is one.)
// A stripe has a mutex, a dense array of slots with one timeline each, an index
// from viewer to slot, and a list of the slots by last reading.
//
//	viewer ──► stripe ──► page of slot numbers ──► slot ──► entries, oldest first
//	                                                 ▲
//	              ring of slots by last reading ─────┘
//
// # Invariants
//
//  1. Everything of a stripe is guarded by its mutex, and no call holds two.
//     The exceptions are atomics, and say so.
//  2. Whoever has entered a stripe finds no expired timeline in it.
//  3. The ring is ordered by last reading; stamps do not fall along it, since
//     they are taken under the lock and never below the newest.
//  4. Entries rise strictly by id and lie above the bottom; so the usual
//     delivery, of a post newer than all, is an append.
//  5. Build tokens and Acts come from one counter: no value ever comes again.
//
// # Memory
//
// An entry takes 8 bytes. An array of entries has at most a sixteenth more room
// than the cap. Redis takes a quarter, as a cut is a script there; here it moves
// 6 KB once in fifty deliveries, which is cheaper than the room: 1,000 entries
// would take 8,192 bytes, 850 take 6,912 (Go's size classes). Slots and the
// index add about 120 bytes to a timeline: 8.8 bytes an entry at 800 entries.
package memory
