package servers

import (
	"slices"
	"testing"
)

// What is measured is not to be compiled quickly, what is tested is.
func TestJavaOptions(t *testing.T) {
	for _, brief := range []bool{false, true} {
		if slices.Contains(javaOptions(brief, "tmp"), "-XX:TieredStopAtLevel=1") != brief {
			t.Errorf("brief: %t, options: %v", brief, javaOptions(brief, "tmp"))
		}
	}
}
