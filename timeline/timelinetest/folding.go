package timelinetest

import "testing"

var foldingCases = []testCase{
	{name: "T4/FoldIsConditional", run: foldConditional},
	{name: "T1/FoldIgnoresBelowBottom", run: foldBelowBottom},
	{name: "T1/FoldIsCapped", run: foldCapped},
}

// foldConditional is the trap "a follow that races": only who knows the version
// that is there may move it.
func foldConditional(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	if p.fold(1, 1, 0, 1, 5) {
		t.Fatal("a Fold took without a timeline")
	}
	token := p.create(1)
	if p.fold(1, token, 0, 1, 5) {
		t.Fatal("a Fold took during building")
	}
	p.finish(1, token, 0, 9, 3) // at follow version 1
	if p.fold(1, token, 7, 8, 5) || p.fold(1, token+1, 1, 2, 5) {
		t.Fatal("a Fold took with another version or token")
	}
	p.shows(1, 0, 9, 3)
	if !p.fold(1, token, 1, 2, 4, 12, 6, 9) {
		t.Fatal("a Fold with the version that is there did not take")
	}
	p.shows(1, 0, 12, 9, 6, 4, 3)
	if got := p.read(1).FollowVersion; got != 2 {
		t.Fatalf("follow version %d after the fold, want 2", got)
	}
	if p.fold(1, token, 1, 3, 7) {
		t.Fatal("the second of two Folds of one version took")
	}
	p.shows(1, 0, 12, 9, 6, 4, 3)
}

func foldBelowBottom(t *testing.T, e Engine) {
	p := open(t, e, Options{Cap: 100})
	token := p.create(1)
	p.finish(1, token, 5, 8)
	if !p.fold(1, token, 1, 2, 3, 5, 6) {
		t.Fatal("Fold: not ok")
	}
	p.shows(1, 5, 8, 6)
}

func foldCapped(t *testing.T, e Engine) {
	const limit = 20
	p := open(t, e, Options{Cap: limit})
	token := p.create(1)
	var scan, folded []int
	for n := 119; n >= 100; n -= 2 {
		scan = append(scan, n)
	}
	for n := 2; n <= 118; n += 2 {
		folded = append(folded, n)
	}
	for n := 99; n > 0; n -= 2 {
		folded = append(folded, n)
	}
	p.finish(1, token, 0, scan...)
	if !p.fold(1, token, 1, 2, folded...) {
		t.Fatal("Fold: not ok")
	}
	p.isCapped(1, limit, 119)
}
