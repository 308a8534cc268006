package world_test

import (
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/kubesim/world"
)

// BenchmarkAt is what Run costs each second, beside the comparison.
func BenchmarkAt(b *testing.B) {
	w, err := world.New(world.Config{Name: "demo-east", Start: start()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.At(start().Add(time.Hour))
	}
}
