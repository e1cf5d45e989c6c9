package servertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// wantReady waits until /readyz of every process says that these engines do not
// answer and that the others do. An API server is not ready without storage, a
// worker not without all. Being alive needs none of them.
func (f *fleet) wantReady(t *testing.T, down ...string) {
	t.Helper()
	noStorage := slices.Contains(down, "posts")
	for _, api := range f.apis {
		api.wantReady(t, down, !noStorage)
	}
	for _, worker := range f.workers {
		worker.wantReady(t, down, len(down) == 0)
	}
}

func (p *process) wantReady(t *testing.T, down []string, ready bool) {
	t.Helper()
	said := ""
	defer func() {
		if t.Failed() {
			t.Logf("%s: last answer of /readyz: %s", p.name, said)
		}
	}()
	eventually(t, fmt.Sprintf("%s says that %v is down, and %t to whether it is ready", p.name, down, ready), func() bool {
		code, body, err := p.get("/readyz")
		if said = fmt.Sprint(code, " ", body, err); err != nil || (code == 200) != ready {
			return false
		}
		for _, engine := range []string{"posts", "graph", "log", "timelines"} {
			if strings.Contains(body, engine+": ok\n") == slices.Contains(down, engine) {
				return false
			}
		}
		return true
	})
	if code, body, err := p.get("/healthz"); code != 200 {
		t.Errorf("%s: /healthz answers %d %s %v", p.name, code, body, err)
	}
}

// /version tells, in each role, what runs on which engines.
func TestVersion(t *testing.T) {
	f := running(t, onServers, "")
	f.wantReady(t)
	for role, processes := range map[string][]*process{"api": f.apis, "worker": f.workers} {
		for _, p := range processes {
			_, body, err := p.get("/version")
			must(t, err)
			var got map[string]string
			must(t, json.Unmarshal([]byte(body), &got))
			want := map[string]string{
				"version": "unknown", "role": role,
				"posts": "postgres", "graph": "postgres", "log": "kafka", "timelines": "redis",
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s: /version says %v, want %v", p.name, got, want)
			}
		}
	}
}
