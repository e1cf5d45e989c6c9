package embedded

import (
	"testing"

	"go.uber.org/goleak"

	"skein/fanout/eventlog"
	"skein/fanout/eventlog/logtest"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	goleak.VerifyTestMain(m)
}

// onDisk opens logs in a folder of the test's own. A failure of the store is a
// failure of the test.
func onDisk(t testing.TB) logtest.Open {
	dir := t.TempDir()
	return func(topics ...eventlog.Topic) (eventlog.Log, error) {
		return Open(dir, topics, Options{OnFatal: func(err error) { t.Error(err) }})
	}
}

func TestSuite(t *testing.T) { logtest.Run(t, onDisk) }

func BenchmarkLog(b *testing.B) { logtest.Benchmark(b, onDisk) }
