package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"github.com/atlhyper/observe/loadtest/bench"
	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// largeSection is how long the largest measured section is, as msgpack.
const largeSection = 300 << 10

// coded is a section and what is done with it.
type coded struct {
	id, title    string
	packed, text []byte
	operations   []operation
	results      map[string][]codecSample
}

type operation struct {
	id, what string
	run      func() error
}

// codecSample is what an operation took in a round: processor time of this process,
// so that what else the machine does counts little, with the collector's share.
type codecSample struct {
	each        time.Duration
	allocations float64
}

// newCoded makes the operations on a value.
func newCoded[T any](id, title string, value T) (*coded, error) {
	c := &coded{id: id, title: title, results: make(map[string][]codecSample)}
	var err error
	if c.packed, err = codec.Encode(value); err != nil {
		return nil, err
	}
	if c.text, err = codec.ToJSON(nil, c.packed); err != nil {
		return nil, err
	}
	var buffer []byte
	c.operations = []operation{
		{"encode", "encode: codec.Encode", func() error {
			_, err := codec.Encode(value)
			return err
		}},
		{"encode-json", "encode: json.Marshal", func() error {
			_, err := json.Marshal(value)
			return err
		}},
		{"decode", "decode: codec.Decode", func() error {
			var v T
			return codec.Decode(c.packed, &v)
		}},
		{"decode-json", "decode: json.Unmarshal", func() error {
			var v T
			return json.Unmarshal(c.text, &v)
		}},
		{"transcode", "msgpack to JSON: codec.ToJSON", func() (err error) {
			buffer, err = codec.ToJSON(buffer[:0], c.packed)
			return err
		}},
		{"structs", "msgpack to JSON: codec.Decode, json.Marshal", func() error {
			var v T
			if err := codec.Decode(c.packed, &v); err != nil {
				return err
			}
			_, err := json.Marshal(v)
			return err
		}},
	}
	return c, nil
}

// codec measures in this process; the operations take turns.
func (p Plan) codec(ctx context.Context) ([]Table, []bench.Target, error) {
	sections, err := codedSections(p.Nodes)
	if err != nil {
		return nil, nil, err
	}
	if err := p.say("codec"); err != nil {
		return nil, nil, err
	}
	for range p.Rounds {
		for _, c := range sections {
			for _, op := range c.operations {
				got, err := measureOperation(op.run, p.Length/10)
				if err = firstError(err, ctx.Err()); err != nil {
					return nil, nil, fmt.Errorf("%s: %s: %w", c.title, op.what, err)
				}
				c.results[op.id] = append(c.results[op.id], got)
			}
		}
	}
	t := Table{
		Title:   "(c) Codec",
		Notes:   []string{"One goroutine; µs are of processor time, with the garbage collector's. MB/s are of msgpack for what reads or writes msgpack, else of JSON. The ratio is json's time over ours, and that of decoding and encoding structs over ToJSON's."},
		Columns: []string{"µs", "MB/s", "allocations", "times faster"},
	}
	var targets []bench.Target
	for _, c := range sections {
		c.rows(&t)
		targets = append(targets, bench.Target{
			Name: c.id + ": decode and encode structs / transcode, " + c.title, Value: c.faster("transcode", "structs"), Limit: 3, AtLeast: true,
		})
	}
	return []Table{t}, targets, nil
}

func codedSections(sizes []int) ([]*coded, error) {
	var all []*coded
	for _, nodes := range sizes {
		w := fleet.World{Cluster: "codec", Nodes: nodes, Services: services, Edges: edges, ChangeEvery: 1, Interval: 10 * time.Second}
		value, err := typed[[]model.NodeMetrics](w, model.SectionMetricsNodes)
		if err != nil {
			return nil, err
		}
		c, err := newCoded(fmt.Sprintf("c/%d", nodes), fmt.Sprintf("metrics.nodes of %d nodes", nodes), value)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	c, err := largeCoded()
	return append(all, c), err
}

// largeCoded is a section of another shape than the nodes: histograms and lists of
// labels rather than numbers with names.
func largeCoded() (*coded, error) {
	w := fleet.World{Cluster: "codec", Nodes: 1, Services: 100, Edges: 150, ChangeEvery: 1, Interval: 10 * time.Second}
	value, err := typed[[]model.IngressSLO](w, model.SectionSLOIngress)
	if err != nil {
		return nil, err
	}
	packed, err := codec.Encode(value)
	if err != nil {
		return nil, err
	}
	w.Services = largeSection * w.Services / len(packed)
	if value, err = typed[[]model.IngressSLO](w, model.SectionSLOIngress); err != nil {
		return nil, err
	}
	return newCoded("c/300KB", fmt.Sprintf("slo.ingress of %d services", w.Services), value)
}

// version of the values that the bench measures with.
const version = 1_000_000

func typed[T any](w fleet.World, name model.Section) (T, error) {
	value, err := w.Value(name, version)
	if err != nil {
		var none T
		return none, err
	}
	v, ok := value.(T)
	if !ok {
		return v, fmt.Errorf("%s is a %T", name, value)
	}
	return v, nil
}

// measureOperation runs it as often as fits into the time, after a first run.
func measureOperation(run func() error, length time.Duration) (codecSample, error) {
	if err := run(); err != nil {
		return codecSample{}, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, err := processor()
	if err != nil {
		return codecSample{}, err
	}
	began, n := time.Now(), 0
	for ; n == 0 || time.Since(began) < length; n++ {
		if err := run(); err != nil {
			return codecSample{}, err
		}
	}
	took, err := processor()
	runtime.ReadMemStats(&after)
	return codecSample{each: (took - used) / time.Duration(n), allocations: float64(after.Mallocs-before.Mallocs) / float64(n)}, err
}

// processor is the processor time of this process, to the microsecond.
func processor() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

func (c *coded) rows(t *Table) {
	against := map[string]string{"encode": "encode-json", "decode": "decode-json", "transcode": "structs"}
	for _, op := range c.operations {
		length := len(c.packed)
		if op.id == "encode-json" || op.id == "decode-json" {
			length = len(c.text)
		}
		us := c.median(op.id, func(s codecSample) float64 { return float64(s.each.Nanoseconds()) / 1000 })
		cells := []string{
			fmt.Sprintf("%s, %.1f KB: %s", c.title, float64(len(c.packed))/1000, op.what),
			number(us), number(float64(length) / us), number(c.median(op.id, func(s codecSample) float64 { return s.allocations })),
		}
		if other, ok := against[op.id]; ok {
			cells = append(cells, number(c.faster(op.id, other)))
		}
		t.add(c.id+"/"+op.id, cells...)
	}
}

func (c *coded) median(id string, figure func(codecSample) float64) float64 {
	list := make([]float64, len(c.results[id]))
	for i, s := range c.results[id] {
		list[i] = figure(s)
	}
	return median(list)
}

// faster is how many times as long the slow one takes, in the median of the rounds.
func (c *coded) faster(id, slow string) float64 {
	list := make([]float64, len(c.results[id]))
	for i := range list {
		list[i] = float64(c.results[slow][i].each) / float64(c.results[id][i].each)
	}
	return median(list)
}
