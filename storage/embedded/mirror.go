package embedded

import (
	"bytes"
	"hash/maphash"
)

// mirrorBuckets cuts the rows of a pair of tables into parts of their own sums.
const mirrorBuckets = 1 << 12

// mirror tells whether two tables hold the same rows, each in its own order, in
// one pass over each and in memory that does not grow: the sums of the rows'
// hashes agree if the rows do, whatever their order (a multiset hash by addition,
// Clarke et al. 2003). The hash is keyed afresh for each check, so no damage can
// hide behind it twice. As there are many sums, a difference also says in which
// small part of the rows to look for it.
type mirror struct {
	seed         maphash.Seed
	first, other [mirrorBuckets]uint64
}

func newMirror() *mirror { return &mirror{seed: maphash.MakeSeed()} }

// sides of a pair. Both are known by the key that a row has on the other side.
func (m *mirror) addFirst(key []byte) { m.add(&m.first, key) }
func (m *mirror) addOther(key []byte) { m.add(&m.other, key) }

func (m *mirror) add(side *[mirrorBuckets]uint64, key []byte) {
	h := maphash.Bytes(m.seed, key)
	side[h%mirrorBuckets] += h | 1 // never 0: each row counts
}

func (m *mirror) equal() bool { return m.first == m.other }

// suspect reports whether a row may be one that is missing on a side.
func (m *mirror) suspect(key []byte) bool {
	i := maphash.Bytes(m.seed, key) % mirrorBuckets
	return m.first[i] != m.other[i]
}

// pair is two tables that hold the same rows.
type pair struct {
	*mirror
	first, other byte // tables
	kind         string
	// toOther is the key that a row of the first table has in the other; nil
	// for a row that is malformed, and reported already.
	toOther func(key, value []byte) []byte
	// toFirst is the key that a row of the other table has in the first.
	toFirst func(key []byte) []byte
	// missing says, of a key of the other table, that only the first or only
	// the other has it.
	onlyFirst, onlyOther func(other []byte) string
}

// compare names the rows that only one side has. It reads both tables again if
// there are any, and only then.
func (c *checker) compare(p pair) {
	if p.equal() || c.torn[p.first] || c.torn[p.other] {
		return
	}
	c.each(p.first, func(key, value []byte) {
		other := p.toOther(key, value)
		if other != nil && p.suspect(other) && !c.exists(other) {
			c.found(p.kind, "%s", p.onlyFirst(other))
		}
	})
	c.each(p.other, func(key, _ []byte) {
		first := p.toFirst(key)
		if first == nil || !p.suspect(key) {
			return
		}
		same := false
		found := c.value(first, func(value []byte) {
			back := p.toOther(first, value)
			same = back == nil || bytes.Equal(back, key)
		})
		if !found || !same {
			c.found(p.kind, "%s", p.onlyOther(key))
		}
	})
}
