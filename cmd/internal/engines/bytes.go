package engines

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is an amount of memory. As text it is a whole number with a unit: B,
// KiB, MiB, GiB or TiB; a bare number counts bytes.
type Bytes int64

var units = []struct {
	name string
	size Bytes
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"B", 1},
}

// String writes b in the largest unit that holds it as a whole number.
func (b Bytes) String() string {
	for _, unit := range units {
		if b != 0 && b%unit.size == 0 {
			return strconv.FormatInt(int64(b/unit.size), 10) + unit.name
		}
	}
	return "0B"
}

// MarshalText writes what String writes.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what String writes, with or without a space before the
// unit and in any case.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, size := strings.ToLower(strings.TrimSpace(string(text))), Bytes(1)
	for _, unit := range units {
		if cut, ok := strings.CutSuffix(number, strings.ToLower(unit.name)); ok {
			number, size = strings.TrimSpace(cut), unit.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(size) {
		return fmt.Errorf("%q is not a size like 512MiB or 1GiB", text)
	}
	*b = Bytes(n) * size
	return nil
}
