// Package scale writes docs/scale.md, what fleets of clusters need, from the text of
// docs/bench.md, what one of each costs: a reader finds every figure in a line of the
// bench, rounded as it stands there, and can do the arithmetic again.
//
// measured.go names the lines, need.go does the arithmetic, scale.md.tmpl is the prose.
// make bench writes both documents; after a change of the prose alone
//
//	go test ./loadtest/bench/scale -run '^TestDocument$' -update
//
// writes docs/scale.md from the docs/bench.md that is there.
package scale
