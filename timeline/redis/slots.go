package redis

import (
	"strconv"
	"sync"

	"skein/feed"
)

// A cluster has 16,384 slots, and a key lies in that of its hash tag, the part in
// braces: CRC16 (XMODEM) modulo the number of slots, as the specification of Redis
// Cluster has it. Which master serves a slot changes; the slot of a key does not.
const (
	slotCount = 16384

	// groupCount is how many shards a cluster has, each a range of slots of its
	// own: a failing master fails only the groups in which it has slots. Each has
	// a log of deletes, so more of them would make deletes dearer.
	groupCount = 16
	groupSlots = slotCount / groupCount
)

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()

// slotOf is the slot of the keys with a hash tag.
func slotOf(tag []byte) int {
	crc := uint16(0)
	for _, b := range tag {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^b]
	}
	return int(crc % slotCount)
}

// slotOfViewer is the slot of all keys of a viewer.
func slotOfViewer(v feed.UserID) int {
	var text [20]byte
	return slotOf(strconv.AppendInt(text[:0], int64(v), 36))
}

// tags holds for each slot the least number that, as a hash tag, lies in it.
var tags = sync.OnceValue(func() []string {
	tags := make([]string, slotCount)
	for n, missing := 0, slotCount; missing > 0; n++ {
		tag := strconv.AppendInt(nil, int64(n), 10)
		if slot := slotOf(tag); tags[slot] == "" {
			tags[slot] = string(tag)
			missing--
		}
	}
	return tags
})
