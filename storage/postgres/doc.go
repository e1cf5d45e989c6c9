// Package postgres keeps posts and the graph in PostgreSQL (14 or newer), for any
// number of processes. It holds no state but a pool of connections: whatever two
// processes must agree on is agreed in the database. Every call goes to the
// primary. It is no cache, and it is no pool for others.
//
// # A post is written in one transaction
//
// Key, post and event are rows of one transaction, written by one call of the
// function create_post. PostgreSQL shows a transaction after its log is on disk
// (and on the synchronous standbys), so a post is never visible unless its event
// is durable (W1), and nothing is ever left to complete (W2). The unique index on
// (author, key) makes the second of two equal requests wait for the first (W3).
//
// Only a transaction that writes waits for the standbys, and a wait that is cut
// short (a caller's deadline, a restart) leaves the post visible without them. So a
// call that answers from what it found, and promises that it stays, writes too: see
// awaitStandbys. Of follows the lock of the head is a write.
//
//	key      ── a second call with it waits here for the first one's commit
//	rows     ── post, event
//	lock     ── advisory, on the id: from here on OldestEvent counts the post
//	age      ── by the server's clock: too old, all is undone, feed.ErrLate (W4)
//	commit   ── may stall, for the disk or a standby; then shown; then unlocked
//
// # What is in flight
//
// A commit may stall after the last look at the id's age, and show its post much
// later. So the look is taken under an advisory lock that the server releases
// after the commit has become visible, and oldest_event reads the locks first,
// the outbox second, with a later snapshot. Who asks thus meets the post in one of
// the two. Negative 64-bit advisory locks of the database are ours alone; those
// of a stranger would hold the top back, and do no other harm.
//
// The same trick fences the shared facts: a change holds a lock from before it
// looks at the clock until it is visible, and GetTiers waits for it. A copy that
// GetTiers returned is therefore never older than it claims, however long a commit
// stalls.
//
// # The relay
//
// Relay deletes events in a transaction that it commits when they are published.
// Until then they are locked, for other relays and for DeletePost, and visible, to
// OldestEvent and CountEvents. Rows are taken by FOR UPDATE SKIP LOCKED, lowest
// first, never by "after the last number": ids become visible out of order. A
// relay that falls asleep loses its transaction after holdTimeout, and another
// publishes its events. The removal is not synced: lost, it is repeated.
//
// # Locks and their order
//
// users, then heads of follow sets, then follower counts; within each by rising
// id. So imports and follows do not deadlock, and should PostgreSQL find a
// deadlock or a conflict all the same, the transaction is tried again.
//
// # What it relies on
//
// fsync, full_page_writes and synchronous_commit: Open refuses a server without
// them. After a failover to a standby that is not synchronous, acknowledged posts,
// and grants of id time, may be gone; Open says so. READ COMMITTED, which every
// connection sets: each statement sees all that was committed before it. And
// clocks of processes and server that agree within policy.MaxSkew: Open checks
// them, and every OldestEvent and Relay looks whether the process is ahead.
//
// # When the server is silent
//
// Every call ends within callTimeout, an import within importTimeout, with
// feed.CodeUnavailable: see Store.call, through which all of them go. A connection
// whose call was cut is closed, not used again.
package postgres
