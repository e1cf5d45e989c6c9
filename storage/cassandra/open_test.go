package cassandra_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"skein/storage/cassandra"
)

// openFails opens with a password in the URL, and returns the error, which came in
// time and does not tell the password.
func openFails(t *testing.T, url string, opts cassandra.Options) error {
	t.Helper()
	url = strings.Replace(url, "://", "://skein:s3cr3t%2Fpa%25ss@", 1)
	began := time.Now()
	opts.Logger = silent
	s, err := cassandra.Open(bg, url, opts)
	if err == nil {
		s.Close()
		t.Fatal("it opens")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%q came after %v", err, took)
	}
	if strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("%q tells the password", err)
	}
	return err
}

func wantOneLine(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", parts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q has more than one line", err)
	}
	for _, part := range append(parts, "Cassandra") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url                   string
		hosts                 []string
		port                  int
		keyspace, consistency string
	}{
		{"cassandra://h1,h2/skein", []string{"h1", "h2"}, 9042, "skein", "LOCAL_QUORUM"},
		{"cassandra://127.0.0.1:19042,127.0.0.2:19042/k_1?consistency=quorum&replication=3", []string{"127.0.0.1", "127.0.0.2"}, 19042, "k_1", "QUORUM"},
		{"cassandra://me:pa%2Fss@h:1/skein?datacenter=dc1", []string{"h"}, 1, "skein", "LOCAL_QUORUM"},
		{"cassandra://[::1]:9000/skein", []string{"::1"}, 9000, "skein", "LOCAL_QUORUM"},
	} {
		hosts, port, keyspace, consistency, err := cassandra.ParseURL(c.url)
		if err != nil || !slices.Equal(hosts, c.hosts) || port != c.port || keyspace != c.keyspace || consistency != c.consistency {
			t.Errorf("%s is %v, %d, %s, %s, %v", c.url, hosts, port, keyspace, consistency, err)
		}
	}
	for url, says := range map[string]string{
		"cassandra://h1":                         "malformed",
		"cassandra:///skein":                     "malformed",
		"cassandra://h:port/skein":               "malformed",
		"postgres://h/skein":                     "malformed",
		"cassandra://h/":                         "keyspace",
		"cassandra://h/drop table":               "keyspace",
		"cassandra://h/skein?consistency=one":    "local_quorum or quorum",
		"cassandra://h/skein?replication=none":   "replication",
		"cassandra://h/skein?pool_max_conns=9":   "unknown option",
		"cassandra://me:s3cr3t@%zz/skein":        "malformed",
		"cassandra://me:s3cr3t%zz@host/keyspace": "malformed",
	} {
		_, _, _, _, err := cassandra.ParseURL(url)
		if wantOneLine(t, err, says); err != nil && strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q tells the password", err)
		}
	}
}

func TestOpen_SaysWhatToDo(t *testing.T) {
	t.Parallel()
	url := emptied(t).url
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, closed.Close())
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	must(t, err)
	defer mute.Close()
	var all sync.WaitGroup
	for _, c := range []struct {
		url   string
		opts  cassandra.Options
		parts []string
	}{
		{"cassandra://" + closed.Addr().String() + "/skein", cassandra.Options{}, []string{closed.Addr().String(), "start it"}},
		{"cassandra://" + mute.Addr().String() + "/skein", cassandra.Options{}, []string{mute.Addr().String(), "start it"}},
		{withKeyspace(url, "nowhere"), cassandra.Options{}, []string{`no keyspace "nowhere"`, "run: skein migrate"}},
		{url + "?datacenter=nowhere", cassandra.Options{}, []string{`not in data centre "nowhere"`, "correct"}},
		{withKeyspace(url, "system_auth"), cassandra.Options{}, []string{"no schema", "run: skein migrate"}},
	} {
		all.Go(func() { wantOneLine(t, openFails(t, c.url, c.opts), c.parts...) })
	}
	all.Wait()
}

// A cluster of one node loses what its disk loses: that is said, loudly.
func TestOpen_WeakSettings(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := cassandra.Open(bg, emptied(t).url, cassandra.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	must(t, s.Close())
	if !strings.Contains(log.String(), "MAY LOSE") || !strings.Contains(log.String(), "replication factor of 1") {
		t.Errorf("one node is opened with %q", log.String())
	}
}

// The driver does what the contracts rest on: it repeats no statement that must not be
// (a lightweight transaction, a counter), reads a follow set in one piece, and leaves
// stamps and consistency alone.
func TestDriver(t *testing.T) {
	t.Parallel()
	for option, want := range map[string]gocql.Consistency{"": gocql.LocalQuorum, "?consistency=quorum": gocql.Quorum} {
		c, err := cassandra.Cluster("cassandra://host/skein" + option)
		must(t, err)
		if c.Consistency != want || c.DefaultTimestamp || c.PageSize != 0 {
			t.Errorf("%q: consistency %v, stamps %v, pages of %d; want %v, none, whole answers", option, c.Consistency, c.DefaultTimestamp, c.PageSize, want)
		}
		for _, repeatable := range []bool{false, true} {
			if c.RetryPolicy.Attempt(failed{repeatable}) != repeatable {
				t.Errorf("a statement is repeated: %v, may be: %v", !repeatable, repeatable)
			}
		}
	}
}

// Another node is asked beside one that hangs, if there is one, and for nothing but
// statements that may run twice.
func TestDriver_AsksASecondNode(t *testing.T) {
	t.Parallel()
	for nodes, want := range []int{0, 0, 0, 1, 1} {
		if got := cassandra.Second(nodes); got != want {
			t.Errorf("of %d nodes %d are asked beside the first, want %d", nodes, got, want)
		}
	}
	kinds, err := open(t, emptied(t).url).MayBeRepeated(bg)
	must(t, err)
	if want := []string{"read", "write"}; !slices.Equal(kinds, want) {
		t.Errorf("a second node is asked for %q, want for %q", kinds, want)
	}
}

// No node of another data centre is asked where a quorum is of one: it would be of the
// node's own.
func TestDriver_StaysInItsDataCentre(t *testing.T) {
	t.Parallel()
	for options, stays := range map[string]bool{"": false, "?datacenter=dc1": true, "?datacenter=dc1&consistency=quorum": false} {
		c, err := cassandra.Cluster("cassandra://host/skein" + options)
		must(t, err)
		if got := c.HostFilter != nil && !c.HostFilter.Accept(&gocql.HostInfo{}); got != stays {
			t.Errorf("%q keeps to one data centre: %v, want %v", options, got, stays)
		}
	}
}

// failed is a statement that failed once, as a retry policy sees it.
type failed struct{ repeatable bool }

func (f failed) Attempts() int                     { return 1 }
func (f failed) SetConsistency(gocql.Consistency)  {}
func (f failed) GetConsistency() gocql.Consistency { return gocql.LocalQuorum }
func (f failed) Context() context.Context          { return bg }
func (f failed) IsIdempotent() bool                { return f.repeatable }
