package server

import (
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// steady is a log that a failing engine does not fill with a line for each call: of the
// warnings with one message it takes one a second. What counts them is in the metrics.
type steady struct {
	*slog.Logger
	said sync.Map // by message, which are few: *rate.Sometimes
}

const warnEvery = time.Second

// Warn takes the place of the logger's.
func (s *steady) Warn(message string, args ...any) {
	limit, _ := s.said.LoadOrStore(message, &rate.Sometimes{Interval: warnEvery})
	limit.(*rate.Sometimes).Do(func() { s.Logger.Warn(message, args...) })
}
