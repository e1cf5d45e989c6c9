package graph

import (
	"bytes"
	"fmt"
	"testing"
)

func BenchmarkSynthesize(b *testing.B) {
	sizes := []Synthetic{demo, {Users: 1_000_000, Follows: 50_000_000, Celebrities: 10, CelebrityShare: 0.1, Seed: 1}}
	for _, s := range sizes {
		b.Run(fmt.Sprintf("users=%d/follows=%d", s.Users, s.Follows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustSynthesize(b, s)
			}
			b.ReportMetric(float64(s.Follows)*float64(b.N)/b.Elapsed().Seconds(), "follows/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	g := mustSynthesize(b, demo)
	var text bytes.Buffer
	for i := range uint32(g.Users()) {
		for _, author := range g.Following(i) {
			fmt.Fprintf(&text, "%d\t%d\n", g.ID(i), g.ID(author))
		}
	}
	for name, data := range map[string][]byte{"plain": text.Bytes(), "gzip": zip(b, text.String())} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Read(bytes.NewReader(data), name, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(g.Follows())*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
