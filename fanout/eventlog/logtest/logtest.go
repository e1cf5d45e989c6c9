// Package logtest holds what every engine of the event log must pass, and the
// benchmarks beside it. It asserts only what the contract promises: no speed, no
// order across partitions, offsets that rise but may have holes. It does not
// test crashes, which each engine survives in its own way.
package logtest

import (
	"testing"

	"skein/fanout/eventlog"
)

// Place prepares a place for one log, empty, and returns how to open it.
type Place func(t testing.TB) Open

// Open opens the log at its place with these topics. It is called again only
// after the log that it returned before was closed, and then finds its records.
// The suite gives topics names that it never gave before, made of letters,
// digits and hyphens.
type Open func(topics ...eventlog.Topic) (eventlog.Log, error)

// Run runs the suite on an engine. The model tests are rapid's: -rapid.checks
// sets how many logs they open, one after the other.
func Run(t *testing.T, place Place) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Place)
	}{
		{"AppendFetchCommit", testAppendFetchCommit},
		{"EqualKeysShareAPartition", testEqualKeys},
		{"PartitionsNeverChange", testPartitionsNeverChange},
		{"EmptyKeysSpread", testEmptyKeys},
		{"LargeRecords", testLargeRecords},
		{"ConcurrentAppends", testConcurrentAppends},
		{"UnknownNames", testUnknownNames},
		{"Reopen", testReopen},

		{"FetchWaits", testFetchWaits},
		{"GroupsAreIndependent", testGroups},
		{"F1/ReplayFromCommitted", testReplayFromCommitted},
		{"CommitNeverBackwards", testCommitNeverBackwards},
		{"FirstErrorEndsConsume", testFirstError},
		{"ContextErrorsAreNoErrors", testContextErrors},
		{"HandleReturnsEarly", testHandleReturnsEarly},

		{"F2/MemberDies", testMemberDies},
		{"F2/Rebalance", testRebalance},
		{"F2/OneOwnerAtATime", testOneOwner},
		{"Revoked", testRevoked},

		{"PendingModel", testPendingModel},
		{"PendingBeforeAppendReturns", testPendingBeforeAppendReturns},
		{"Read", testRead},
		{"Reset", testReset},
		{"F4/BigBacklog", testBigBacklog},
		{"Close", testClose},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, place) })
	}
}
