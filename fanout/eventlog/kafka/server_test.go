package kafka

import (
	"os"
	"testing"
)

func brokers(t testing.TB) string {
	return os.Getenv("SKEIN_TEST_KAFKA")
}
