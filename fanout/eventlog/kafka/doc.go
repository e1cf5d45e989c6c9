// Package kafka is the event log in a Kafka cluster: shared by any number of
// processes, and as durable as its topics are replicated. It makes no promise
// that the cluster does not: Open looks at the settings that decide it.
//
// # Layout
//
//	topic  prefix.topic          one for each topic; partition by the key's hash
//	group  prefix.group.topic    one for each group and topic
//	record key, value, time      as given; one header, skein: post, low
//	commit offset, metadata      the fingerprint of the record before the offset
//
// # Invariants
//
//  1. Append returns nil after all replicas in sync have the record.
//  2. A partition's handles of one generation have returned before this member
//     joins the next, and before Kafka takes it for dead (generation.go). Kafka compares the generation of each
//     commit, so that a member that was thought dead moves nothing.
//  3. An offset that Fetch expects and does not find is a Gap, whatever took it
//     (partition.go); so is one before which another record stands than the group
//     had read, as the partition lost its end and grew over it (compare.go).
//  4. Pending asks for commits before it asks for ends, and the ends come from
//     leaders that know what was acknowledged; its bound is never above a post
//     that waits (pending.go).
//
// # When Kafka is away
//
//	Append, Commit, Pending, Read    try again for callPatience, then fail with
//	                                 feed.CodeUnavailable
//	Fetch                            waits, as it does without a record
//	Consume                          stays the member that it is, or joins again, however
//	                                 long it takes
//
// # What it cannot see
//
// Topics deleted and made again while no member runs look like new ones, since
// Kafka deletes what groups had committed of them: see MigrateOptions.BeforeMaking.
//
// What was acknowledged, had not been fetched yet, and was lost by all replicas at
// once, before their disks had it: others have its offsets, and nothing remembers it.
// Where a topic has one replica, its broker's death by loss of power is enough (that
// of its process is not); Open warns of one broker, and refuses weak settings of more.
package kafka
