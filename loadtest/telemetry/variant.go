package telemetry

import (
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Variant makes one cluster look different from another that replays the same
// capture. The zero Variant is the capture as it is.
type Variant struct {
	// Phase is where in the capture the replay begins, taken modulo its length,
	// in whole seconds.
	Phase time.Duration
	// Replace changes the beginnings of values in ServiceName and in resource,
	// span, log and metric attributes; the first that fits a value is taken.
	Replace []Replacement
}

// Replacement puts With in the place of a value's Prefix.
type Replacement struct{ Prefix, With string }

// ClusterVariant is a ready Variant for the n-th cluster (0 and up): it begins
// 251 s further into the capture than the one before it; addresses 10.0.x.x
// are 10.n.x.x; the namespace shop, also at the head of a Traefik service name,
// is shop<n>. Number 0 is the zero Variant.
func ClusterVariant(n uint8) Variant {
	if n == 0 {
		return Variant{}
	}
	number := strconv.Itoa(int(n))
	return Variant{
		Phase: time.Duration(n) * 251 * time.Second,
		Replace: []Replacement{
			{"10.0.", "10." + number + "."},
			{"shop", "shop" + number},
		},
	}
}

// apply returns the captured rows relabelled. Rows that shared a map still do.
func (v Variant) apply(c *Capture) Rows {
	rows := c.Shifted(0)
	if len(v.Replace) == 0 {
		return rows
	}
	by := labels{replace: v.Replace, done: make(map[uintptr]relabelled)}
	for _, t := range tables() {
		t.relabelAll(&rows, by)
	}
	return rows
}

// labels rewrites values, each shared map once.
type labels struct {
	replace []Replacement
	done    map[uintptr]relabelled
}

// relabelled holds on to the map that was rewritten, so that no other can get
// its address meanwhile.
type relabelled struct{ before, after Attributes }

func (l labels) value(v string) string {
	for _, r := range l.replace {
		if rest, ok := strings.CutPrefix(v, r.Prefix); ok {
			return r.With + rest
		}
	}
	return v
}

func (l labels) all(a Attributes) Attributes {
	at := reflect.ValueOf(a).Pointer()
	known, ok := l.done[at]
	if !ok {
		after := make(Attributes, len(a))
		for k, v := range a {
			after[k] = l.value(v)
		}
		known = relabelled{before: a, after: after}
		l.done[at] = known
	}
	return known.after
}
