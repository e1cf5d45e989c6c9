// Package storage is the contract of what must not be lost: users, follows,
// posts, the events that wait for the log, and the small shared facts that keep
// processes in agreement. Engines are its subfolders; storagetest holds the
// suite that each must pass. It is not a cache, and it knows nothing of
// timelines or of the event log.
//
// Two stores make it up, since they may live in different engines: Posts (with
// the outbox, idempotency keys and grants of id time) and Graph (users, follows,
// tiers, settings).
//
// # What a write promises
//
//   - W1: a post is never visible unless its event is durable, and CreatePost
//     does not return before both are. An event whose post is missing is
//     completed, at the latest before Relay hands it out.
//   - W2: what a write acknowledged is there after any crash.
//   - W3: the same author and request id give the same post.
//   - W4: ids come from grants that never overlap, and a post commits while its
//     id is at most feed.MaxIDAge old; else CreatePost returns feed.ErrLate and
//     leaves nothing visible.
//
// Creating a post is a chain of steps, each of which may be repeated: reserve
// the key, write the event (with the whole post in it), write the post,
// acknowledge. An engine that can does several in one commit, provided that no
// step shows before the one ahead of it is durable.
//
// # Errors
//
// Every method may return an error of code feed.CodeUnavailable when the engine
// cannot be asked; then the act may or may not have happened. Other codes are
// named at each method. A cancelled context ends a call with
// feed.CodeUnavailable too.
//
// All methods are safe for concurrent use. Slices returned belong to the caller;
// *FollowSet and policy.History are immutable and may be shared.
package storage
