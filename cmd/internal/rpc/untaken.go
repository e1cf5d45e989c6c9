package rpc

import (
	"container/list"
	"net"
	"sync"
	"time"

	"skein/feed"
)

const (
	// smallReply is the largest reply that is never refused once its call was let in:
	// those of calls that change something are smaller.
	smallReply = 32 << 10
	// alwaysFree is what a connection may leave untaken however full all is, so that
	// who reads is served beside others that do not.
	alwaysFree = 8 * smallReply
	// perCall is what is kept of a call beside its reply: its headers, at most.
	perCall = maxHeaders
)

// untaken bounds the replies that clients have not read yet. A call is over for gRPC
// when its reply has been handed to the transport, which keeps it until the client
// takes it: the limit of calls in work does not bound them, and a connection could
// leave 250 of 4 MiB.
//
// A connection that leaves too much gets no more work done. When all together leave too
// much, those are closed whose oldest reply has waited longer than within. The memory is that of
// most, beside alwaysFree for each connection, and smallReply and perCall for each call
// in work.
type untaken struct {
	most, each int           // bytes, of all connections and of one
	within     time.Duration // how long a reply may wait while all is full
	mu         struct {
		sync.Mutex
		bytes       int
		connections map[*connection]struct{} // those that are open
	}
}

func newUntaken(most, each int, within time.Duration) *untaken {
	u := &untaken{most: most, each: each, within: within}
	u.mu.connections = map[*connection]struct{}{}
	return u
}

// connection is one of a client. Calls find it through their peer's address.
type connection struct {
	net.Conn
	of     *untaken
	closed func()
	// What waits for the client, guarded by of.mu.
	bytes int
	held  list.List // of *held, oldest first
}

// held is a reply that waits for its client.
type held struct {
	connection *connection
	bytes      int
	since      time.Time
	element    *list.Element // nil if it does not count
}

// connect returns raw as a connection whose replies are counted. When it is closed, it
// calls closed, once.
func (u *untaken) connect(raw net.Conn, closed func()) *connection {
	c := &connection{Conn: raw, of: u, closed: sync.OnceFunc(closed)}
	u.mu.Lock()
	u.mu.connections[c] = struct{}{}
	u.mu.Unlock()
	return c
}

// peerAddr is the address of a connection's client, and leads to the connection.
type peerAddr struct {
	net.Addr
	connection *connection
}

func (c *connection) RemoteAddr() net.Addr { return peerAddr{c.Conn.RemoteAddr(), c} }

// Close gives back what the connection held: nobody will read it.
func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.mu.Unlock()
	c.closed()
	return c.Conn.Close()
}

// forget counts a connection's replies no more. The caller holds mu.
func (u *untaken) forget(c *connection) {
	delete(u.mu.connections, c)
	u.mu.bytes -= c.bytes
	c.bytes = 0
	for e := c.held.Front(); e != nil; e = c.held.Front() {
		c.held.Remove(e).(*held).element = nil
	}
}

// hold counts a reply of that many bytes of memory, and perCall, until it is released. It
// fails with feed.CodeExhausted if there is no room for a reply that may be refused; of a
// call that begins, whose reply has no size yet, it fails if no call should be done.
func (u *untaken) hold(c *connection, bytes int) (*held, error) {
	u.mu.Lock()
	late := u.late(bytes)
	for _, other := range late {
		u.forget(other)
	}
	h, err := u.add(c, bytes)
	u.mu.Unlock()
	for _, other := range late { // no lock is held over that
		_ = other.Close() // its client gave up before
	}
	return h, err
}

// late returns the connections of which a reply has waited too long, if there is no
// room for so many bytes more. The caller holds mu.
func (u *untaken) late(bytes int) (late []*connection) {
	if u.mu.bytes+bytes <= u.most {
		return nil
	}
	now := time.Now()
	for c := range u.mu.connections {
		if oldest := c.held.Front(); oldest != nil && now.Sub(oldest.Value.(*held).since) > u.within {
			late = append(late, c)
		}
	}
	return late
}

// add is hold without making room. The caller holds mu.
func (u *untaken) add(c *connection, bytes int) (*held, error) {
	refusable := bytes == 0 || bytes > smallReply
	if bytes > 0 {
		bytes += perCall
	}
	mine, all := c.bytes+bytes, u.mu.bytes+bytes
	if refusable && mine > alwaysFree && (mine > u.each || all > u.most) {
		return nil, feed.Exhausted(RetryAfter, "too many replies wait for clients that do not read them; read yours, and try again")
	}
	h := &held{connection: c, bytes: bytes, since: time.Now()}
	if _, open := u.mu.connections[c]; open && bytes > 0 {
		h.element = c.held.PushBack(h)
		c.bytes, u.mu.bytes = mine, all
	}
	return h, nil
}

// release says that a reply has been taken, or never will be. More than once is fine.
func (h *held) release() {
	u := h.connection.of
	u.mu.Lock()
	defer u.mu.Unlock()
	if h.element == nil {
		return
	}
	h.connection.held.Remove(h.element)
	h.element = nil
	h.connection.bytes -= h.bytes
	u.mu.bytes -= h.bytes
}

// total returns how many bytes wait.
func (u *untaken) total() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.mu.bytes
}
