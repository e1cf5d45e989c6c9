package feed

import "time"

// PostID names a post and orders it in time: 41 bits of milliseconds since
// Epoch, 10 bits of node, 12 bits of sequence. It is positive, so that 63 bits
// carry it and a timeline can use the 64th (W4).
type PostID int64

const (
	sequenceBits = 12
	nodeBits     = 10

	// Nodes is how many generators can be at work at once.
	Nodes = 1 << nodeBits

	// MaxPostID is greater than the id of any post ever given.
	MaxPostID PostID = 1<<63 - 1

	// MaxIDAge is D: an id is at most this old when its post commits, or the
	// post gets another one (W4).
	MaxIDAge = time.Second
)

// Epoch is the instant before which no id was given.
var Epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Valid reports whether p can name a post.
func (p PostID) Valid() bool { return p > 0 }

// Time is when the id was taken, in milliseconds' resolution.
func (p PostID) Time() time.Time {
	return Epoch.Add(time.Duration(p>>(sequenceBits+nodeBits)) * time.Millisecond)
}

// IDAt returns the least id that can be taken at t; 0 before Epoch.
func IDAt(t time.Time) PostID {
	ms := t.Sub(Epoch).Milliseconds()
	if ms <= 0 {
		return 0
	}
	return PostID(ms) << (sequenceBits + nodeBits)
}

func idOf(ms int64, node uint16, sequence int64) PostID {
	return PostID(ms<<(sequenceBits+nodeBits) | int64(node)<<sequenceBits | sequence)
}
