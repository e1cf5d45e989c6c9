package graph

import (
	"fmt"
	"math"

	"skein/feed"
)

const minUsers = 8

// violations lists what is out of bounds, the first cause first.
func (s Synthetic) violations() []feed.Violation {
	wrong := func(field, format string, args ...any) []feed.Violation {
		return []feed.Violation{{Field: field, Description: fmt.Sprintf(format, args...)}}
	}
	if s.Users < minUsers || s.Users > math.MaxInt32 {
		return wrong("users", "must be from %d to %d, not %d", minUsers, math.MaxInt32, s.Users)
	}
	if s.Celebrities < 0 || s.Celebrities > s.Users/2 {
		return wrong("celebrities", "must be from 0 to half of the users, %d, not %d", s.Users/2, s.Celebrities)
	}
	if s.Celebrities > 0 && !(s.CelebrityShare > 0 && s.CelebrityShare <= 1) { // NaN included
		return wrong("celebrity_share", "must be above 0 and at most 1, not %g", s.CelebrityShare)
	}
	users, ordinary := float64(s.Users), float64(s.Users-s.Celebrities)
	celebrities := float64(s.Celebrities) * s.CelebrityShare
	least, most := math.Ceil(users*(1+celebrities)), math.Floor(users*(ordinary/4+celebrities))
	if follows := float64(s.Follows); follows < least || follows > most {
		return wrong("follows", "must be from %.0f to %.0f for %d users and %.1f celebrities followed by each, not %d",
			least, most, s.Users, celebrities, s.Follows)
	}
	if need := 2 * s.ownMean() / users; s.Celebrities > 0 && s.CelebrityShare < need {
		return wrong("celebrity_share", "must be at least %.2g, twice the mean of the other users, not %g", need, s.CelebrityShare)
	}
	return nil
}
