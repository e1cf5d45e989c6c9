package embedded

import (
	"crypto/rand"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"skein/internal/readonly"
)

// format is the version of keys and values that this code reads and writes.
const format = 1

// tokenLen is the length of the secret under which page tokens are signed.
const tokenLen = 32

// loadMeta checks the format and reads the token key; in an empty store it
// writes both, durably, before anyone can ask for them.
func (s *Store) loadMeta() error {
	ns, found, err := s.lookupNumbers(keyFormat, 1)
	switch {
	case err != nil:
		return err
	case !found && s.existed:
		return fmt.Errorf("%w: it holds data but not its format, so its manifest or log is damaged", readonly.ErrDamaged)
	case !found:
		return s.initMeta()
	case ns[0] > format:
		return fmt.Errorf("it has format %d and this program reads up to %d: %w", ns[0], format, errNewer)
	}
	found, err = s.lookup(keyToken, func(value []byte) error {
		s.token = append([]byte(nil), value...)
		return nil
	})
	if err == nil && (!found || len(s.token) != tokenLen) {
		err = damaged(keyToken)
	}
	return err
}

func (s *Store) initMeta() error {
	s.token = make([]byte, tokenLen)
	if _, err := rand.Read(s.token); err != nil {
		return err
	}
	b := s.batch()
	b.set(keyFormat, encodeNumbers(format))
	b.set(keyToken, s.token)
	return s.commit(b, pebble.Sync)
}
