package telemetry

import "reflect"

// series is the full identity of a series within its table.
type series struct {
	process
	metric string
	labels string // Attributes.key
}

// keyCache remembers the keys of maps, which are shared by the rows of a series.
type keyCache struct {
	byMap map[uintptr]string
	// held keeps the maps alive, so that no other can get the address of one.
	held []Attributes
}

func newKeyCache() *keyCache { return &keyCache{byMap: make(map[uintptr]string)} }

func (c *keyCache) key(a Attributes) string {
	at := reflect.ValueOf(a).Pointer()
	key, ok := c.byMap[at]
	if !ok {
		key = a.key()
		c.byMap[at] = key
		c.held = append(c.held, a)
	}
	return key
}

func (c *keyCache) series(p *Point) series {
	return series{
		process: process{job: p.ServiceName, resource: c.key(p.Resource)},
		metric:  p.MetricName,
		labels:  c.key(p.Attributes),
	}
}
