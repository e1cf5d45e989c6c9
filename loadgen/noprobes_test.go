package loadgen

import "testing"

// Without probes no lag is measured, and all else is judged as ever.
func TestNoProbes(t *testing.T) {
	t.Parallel()
	cfg := small((&fake{}).serve(t))
	cfg.NoProbes = true
	rep, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Lag) > 0 {
		t.Errorf("lag was measured: %+v", rep.Lag)
	}
	if c := check(t, rep, "T1"); c.Tried == 0 {
		t.Error("T1 was not tried")
	}
}
