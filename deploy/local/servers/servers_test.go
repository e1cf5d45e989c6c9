package servers

import (
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, e := range []string{Redis, Postgres, Kafka} {
		s, err := Start(t.Context(), Spec{Engine: e, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(s.URL(), s.Version(), s.Pid(), s.Memory()>>20, s.Running())
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Pause(); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
