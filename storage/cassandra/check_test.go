package cassandra_test

import (
	"testing"

	"skein/storage/cassandra"
)

// W2, W3, W4: a keyspace is refused whose copies cannot keep what they acknowledged, or
// in which two processes may not agree.
func TestQuorum(t *testing.T) {
	t.Parallel()
	const network = "org.apache.cassandra.locator.NetworkTopologyStrategy"
	one := map[string]string{"class": network, "dc1": "3"}
	two := map[string]string{"class": network, "dc1": "3", "dc2": "2/1", "dc3": "0"}
	for _, c := range []struct {
		options     string
		replication map[string]string
		factor      int
		place, says string
	}{
		{"", map[string]string{"class": "SimpleStrategy", "replication_factor": "2"}, 2, "", ""},
		{"", one, 3, "", ""},
		{"?datacenter=dc1", one, 3, "", ""},
		{"?consistency=quorum", one, 3, "", ""},
		{"?datacenter=dc1", two, 3, "dc1", ""},
		{"?datacenter=dc2", two, 2, "dc2", ""},
		{"?consistency=quorum", two, 2, cassandra.Everywhere, ""},
		{"?consistency=quorum&datacenter=dc1", two, 2, cassandra.Everywhere, ""},
		{"", two, 0, "", "in 2 data centres; say with ?datacenter="},
		{"?datacenter=dc2", one, 0, "", `no copy in data centre "dc2"`},
		{"?datacenter=dc3", two, 0, "", `no copy in data centre "dc3"`},
		{"", map[string]string{"class": network}, 0, "", "no replication"},
	} {
		factor, place, err := cassandra.Quorum("cassandra://h/skein"+c.options, c.replication)
		if factor != c.factor || place != c.place {
			t.Errorf("%q, %v: %d copies in %q, want %d in %q", c.options, c.replication, factor, place, c.factor, c.place)
		}
		if c.says != "" {
			wantOneLine(t, err, c.says)
		} else if err != nil {
			t.Errorf("%q, %v: %v", c.options, c.replication, err)
		}
	}
}

// W2: what may lose an acknowledged post is refused, but where it is allowed, or one node
// can do no better.
func TestCheckDurability(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		durable       bool
		factor, nodes int
		sync          string
		allow         bool
		says          string
	}{
		{true, 3, 3, "periodic", false, ""},
		{true, 3, 9, "", false, ""},
		{true, 2, 3, "batch", false, "a replication factor of 2; use"},
		{true, 1, 2, "periodic", false, "a replication factor of 1, commitlog_sync is periodic; use"},
		{false, 3, 3, "batch", false, "durable_writes = false"},
		{false, 1, 3, "periodic", true, ""},
		{false, 1, 1, "periodic", false, ""},
	} {
		err := cassandra.Judge(c.durable, c.factor, c.nodes, c.sync, cassandra.Options{Logger: silent, AllowWeak: c.allow})
		if c.says != "" {
			wantOneLine(t, err, "may lose acknowledged posts", c.says)
		} else if err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// W3, W4: of a keyspace in several data centres the first place that is noted is the one
// in which all processes agree. Others are refused, by Migrate and by Open.
func TestPlace(t *testing.T) {
	t.Parallel()
	space := emptied(t)
	s := open(t, space.url)
	wantOneLine(t, s.ComparePlace("dc1"), "not noted", "run: skein migrate")
	for range 2 { // again, as a migration may be run again
		must(t, cassandra.NotePlace(space.session, "dc1"))
	}
	must(t, s.ComparePlace("dc1"))
	for place, option := range map[string]string{"dc2": "datacenter=dc2", cassandra.Everywhere: "consistency=quorum"} {
		for _, err := range []error{s.ComparePlace(place), cassandra.NotePlace(space.session, place)} {
			wantOneLine(t, err, "agree with ?datacenter=dc1", "this one's ?"+option, "correct the URL")
		}
	}
}
