package terminal

import (
	"fmt"
	"io"

	feedv1 "skein/proto/feed/v1"
)

// source says in words how a post came onto a page.
type source struct{ name, meaning string }

// sources are in the order in which a summary lists them.
var sources = []struct {
	of feedv1.Source
	source
}{
	{feedv1.Source_SOURCE_PUSHED, source{"pushed", "a worker wrote it into the stored timeline"}},
	{feedv1.Source_SOURCE_REBUILT, source{"rebuilt", "it came from storage when the stored timeline was made"}},
	{feedv1.Source_SOURCE_PULLED, source{"pulled", "its author is not pushed, or it was set aside: read from storage"}},
	{feedv1.Source_SOURCE_NEWLY_FOLLOWED, source{"newly followed", "its author was followed after the stored timeline was made"}},
	{feedv1.Source_SOURCE_ABOVE_TOP, source{"above the top", "its delivery is late: read from storage"}},
	{feedv1.Source_SOURCE_BELOW_BOTTOM, source{"below the bottom", "it is older than what the stored timeline holds"}},
	{feedv1.Source_SOURCE_OWN, source{"own", "the viewer wrote it"}},
}

// sourceOf names also a source that this client is too old to know.
func sourceOf(s feedv1.Source) source {
	for _, known := range sources {
		if known.of == s {
			return known.source
		}
	}
	return source{s.String(), "a server of another version says so"}
}

// writeSources sums up how a page was made.
func writeSources(w io.Writer, used []feedv1.Source) error {
	times, order := map[feedv1.Source]int{}, []feedv1.Source{}
	for _, known := range sources {
		order = append(order, known.of)
		times[known.of] = 0
	}
	for _, s := range used {
		if _, known := times[s]; !known {
			order = append(order, s)
		}
		times[s]++
	}
	if _, err := fmt.Fprintln(w, "\nHow this was made:"); err != nil {
		return err
	}
	for _, s := range order {
		if times[s] == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "%5d  %-16s  %s\n", times[s], sourceOf(s).name, sourceOf(s).meaning); err != nil {
			return err
		}
	}
	return nil
}
