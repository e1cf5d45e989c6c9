package feed

// HashRange is a range of user hashes, both ends included. Chunks are ranges of
// this key because it never changes and because a split of it tiles all
// followers, whoever follows or unfollows meanwhile.
type HashRange struct {
	First, Last uint64
}

// AllHashes is the range of every user.
var AllHashes = HashRange{First: 0, Last: 1<<64 - 1}

// Split cuts all hashes into n ranges of equal width, in order, that tile it.
// n below 1 is taken as 1.
func Split(n int) []HashRange {
	n = max(n, 1)
	width := ^uint64(0)/uint64(n) + 1 // wraps to 0 for n = 1
	ranges := make([]HashRange, n)
	for i := range ranges {
		ranges[i] = HashRange{First: uint64(i) * width, Last: uint64(i+1)*width - 1}
	}
	ranges[n-1].Last = AllHashes.Last
	return ranges
}

// Hash spreads user ids evenly over 64 bits. It is a bijection (the finaliser
// of SplitMix64, Steele et al. 2014), so an index ordered by hash need not
// store the id as well: see UserOfHash.
func (u UserID) Hash() uint64 {
	x := uint64(u)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// UserOfHash is the inverse of Hash.
func UserOfHash(h uint64) UserID {
	h = (h ^ h>>31 ^ h>>62) * 0x319642b2d24d8ec3
	h = (h ^ h>>27 ^ h>>54) * 0x96de1b173f119089
	return UserID(h ^ h>>30 ^ h>>60)
}
