package embedded

import (
	"sync"

	"skein/feed"
	"skein/storage"
)

// outbox is what memory knows of the event rows. It is bounded by the calls in
// flight, not by the backlog.
type outbox struct {
	mu struct {
		sync.Mutex
		count int64 // rows
		// writing holds posts between the begin and the end of CreatePost:
		// their rows are not to be published yet.
		writing map[feed.PostID]struct{}
		// held maps the events that a relay or a delete works on to whether a
		// delete removes the row meanwhile.
		held map[feed.PostID]bool

		// floor is a bound below which there is no row, so that a scan need
		// not walk over the tombstones of all that was relayed. One scan at a
		// time may raise it; begun is the least id whose row it can have
		// missed.
		floor    feed.PostID
		scanning bool
		begun    feed.PostID
	}
}

func (o *outbox) init(count int64) {
	o.mu.count = count
	o.mu.writing = map[feed.PostID]struct{}{}
	o.mu.held = map[feed.PostID]bool{}
}

func (o *outbox) begin(id feed.PostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.writing[id] = struct{}{}
	o.mu.floor = min(o.mu.floor, id)
	o.mu.begun = min(o.mu.begun, id)
}

func (o *outbox) end(id feed.PostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.writing, id)
}

func (o *outbox) grow(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.count += n
}

// take is the beginning of a delete: it keeps relays from the event, unless one has
// it, which then counts the row when it lets go.
func (o *outbox) take(id feed.PostID) (taken bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, held := o.mu.held[id]; held {
		o.mu.held[id] = true
		return false
	}
	o.mu.held[id] = false
	return true
}

// removed is the end of a delete that took an event, and says whether there was one.
func (o *outbox) removed(id feed.PostID, event bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.held, id)
	if event {
		o.mu.count--
	}
}

// hold takes an event for a relay, unless it is held or being written.
func (o *outbox) hold(id feed.PostID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, writing := o.mu.writing[id]
	_, held := o.mu.held[id]
	if writing || held {
		return false
	}
	o.mu.held[id] = false
	return true
}

// release lets go of events, whose rows are gone if published says so.
func (o *outbox) release(events []storage.Event, published bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range events {
		if published || o.mu.held[e.Post] {
			o.mu.count--
		}
		delete(o.mu.held, e.Post)
	}
}

// forget lets go of an event whose row was gone already.
func (o *outbox) forget(id feed.PostID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.held, id)
}

// startScan returns where a scan begins and how to tell what it found first.
func (o *outbox) startScan() (floor feed.PostID, found func(first feed.PostID)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.scanning {
		return o.mu.floor, func(feed.PostID) {}
	}
	o.mu.scanning = true
	o.mu.begun = feed.MaxPostID
	for id := range o.mu.writing {
		o.mu.begun = min(o.mu.begun, id)
	}
	return o.mu.floor, func(first feed.PostID) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.mu.scanning = false
		o.mu.floor = min(first, o.mu.begun)
	}
}
