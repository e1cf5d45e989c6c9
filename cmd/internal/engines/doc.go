// Package engines is the one switch from the URLs that name engines to the
// engines themselves. It opens them in order, hands out nothing but the
// contracts, and closes them in reverse. It knows nothing of what runs on top:
// the topics of the event log are the caller's.
//
// It also copies the data of the embedded engines, while they serve and while they
// do not, and checks data that nobody serves.
//
// # Why a backup is consistent
//
// Each engine is copied as of one moment: storage first, then the log. So the log's
// copy is the newer one, and that is the order that loses nothing:
//
//   - An event leaves storage's outbox only when the log has it durably. What left
//     the outbox before storage's moment is in the log's copy.
//   - What left it in between is in both copies, and is published a second time:
//     events commute, and handling one again changes nothing (F1). The lower bound
//     of a record that stands between the two is about the first time.
//   - A post made in between may be in the log's copy and not in storage's. Its id is
//     delivered, or read as pulled, and reads drop what storage does not have. It lies
//     little beyond the last grant that storage's copy knows, as a copy begins with one:
//     so storage that lost its last writes, which Open refuses, is told from a copy.
//
// # Why a restored backup keeps the contracts
//
// What was acknowledged after the copy is gone: posts, but deletes, follows and
// unfollows too. To whoever asks, it never happened:
//
//   - Ids (W4): the copy does not know the grants made after it. A grant begins at
//     storage's clock at the earliest, so none covers the past, and ids that were
//     given between the copy and the restore are not given again, as long as the
//     clock is not behind. Restore refuses on a machine whose clock is behind the copy's time.
//   - Idempotency keys (W3): a retry of a call made after the copy makes the post
//     anew, under another id. There is one, as the first is gone.
//   - Page tokens are signed under the same key and hold the last id examined, so a
//     scroll goes on below it, whether or not that post is still there.
//   - Versions of follow sets, tiers and the life of the log step back, and the same
//     numbers will mean other states. Nobody holds on to them: timelines and caches
//     are in the memory of a process that has ended, and are rebuilt from storage.
//     (With timelines on a server of their own, a restore must begin a new life.)
//   - Committed offsets say that posts were delivered to timelines that are gone;
//     those made afresh read them from storage (T7).
//   - The identity is that of storage's token key, and is copied with it.
//
// A copy that is served beside the original is another world with the same ids:
// never behind one address.
package engines
