package fleet

import (
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/atlhyper/observe/shared/model"
)

// World is what one simulated cluster shows. All of it follows from its fields and
// from the number of the round, which is the time in intervals since 1970; so two
// agents of a cluster, or one that was started again, agree.
type World struct {
	Cluster string
	// Nodes and Services say how many there are, Edges how many pairs of services
	// call each other.
	Nodes, Services, Edges int
	// ChangeEvery is in how many rounds each section's value changes once.
	ChangeEvery int64
	// Items is how many spans, log lines or points a detail reply holds.
	Items int
	// Interval is the length of a round.
	Interval time.Duration
}

// Name is the cluster's id.
func (w World) Name() string { return w.Cluster }

// Period is the time between two publishes.
func (w World) Period() time.Duration { return w.Interval }

// Round is the number of the round that a time belongs to.
func (w World) Round(at time.Time) int64 { return at.UnixMilli() / w.Interval.Milliseconds() }

// Version is the round in which a section's value changed last, as of a round. The
// sections change one after the other, not together.
func (w World) Version(section model.Section, round int64) int64 {
	phase := int64(w.hash(string(section), 0) % uint64(w.ChangeEvery))
	return round - (round+phase)%w.ChangeEvery
}

// hash is the same for the same cluster, words and number.
func (w World) hash(what string, n int64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s/%d", w.Cluster, what, n)
	// FNV's upper bits hardly depend on the last bytes: mix them (Murmur3's finalizer).
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// between is a number from low to high that follows from what and n, with as many
// digits as measured ones have.
func (w World) between(low, high float64, what string, n int64) float64 {
	share := float64(w.hash(what, n)>>11) / (1 << 53)
	return low + share*(high-low)
}

// mark hides a round in the decimals of a base below 1,000, where neither people nor
// the 14 digits of the wire mind; marked finds it again.
func mark(base float64, round int64) float64 { return base + float64(round)/markScale }

func marked(value, base float64) int64 { return int64(math.Round((value - base) * markScale)) }

const markScale = 1e10
