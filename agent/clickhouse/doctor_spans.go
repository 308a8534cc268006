package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// SpansFound is what the spans of the last 15 minutes are written in.
type SpansFound struct {
	Looked      int64    `json:"looked"` // spans looked at, whole traces
	Kinds       []string `json:"kinds"`
	StatusCodes []string `json:"statusCodes"`
	// Spelling of kinds and status codes: SpellingShort, SpellingLong,
	// SpellingBoth, or "" without spans.
	Spelling    string            `json:"spelling"`
	Conventions []ConventionFound `json:"conventions"`
}

// The spellings of enums: Server and Error since v0.109, before that
// SPAN_KIND_SERVER and STATUS_CODE_ERROR.
const (
	SpellingShort = "short"
	SpellingLong  = "long"
	SpellingBoth  = "both"
)

// ConventionFound is the generation of the semantic conventions of one subject.
type ConventionFound struct {
	About string `json:"about"`
	// Generation is GenerationNew, GenerationOld, GenerationBoth, or "" when no
	// span speaks of it.
	Generation string           `json:"generation"`
	Attributes []AttributeFound `json:"attributes"` // those in use
}

// The generations of the semantic conventions. What both have tells nothing.
const (
	GenerationNew  = "new"
	GenerationOld  = "old"
	GenerationBoth = "both"
)

// AttributeFound is an attribute and how many of the rows looked at have it.
type AttributeFound struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// subject is what attributes of either generation speak of.
type subject struct {
	about    string
	resource bool // attributes of the resource, not of spans
	// recent, former and lasting are the names of the new generation, the old
	// one, and both.
	recent, former, lasting []string
}

func (s *subject) names() []string { return slices.Concat(s.recent, s.former, s.lasting) }

// subjects are those whose names changed, from the table of conventions.
func subjects() []subject {
	c := semanticConventions()
	of := func(about string, attributes ...attribute) subject {
		s := subject{about: about}
		for _, a := range attributes {
			s.recent, s.former = append(s.recent, a[0]), append(s.former, a[1:]...)
		}
		return s
	}
	http := of("HTTP", c.HTTPMethod, c.HTTPStatus, c.HTTPURL, c.HTTPPath)
	http.lasting = c.HTTPRoute
	rpc := of("RPC", c.RPCSystem)
	rpc.former, rpc.lasting = append(rpc.former, "rpc.service"), c.RPCMethod
	messaging := of("messaging", c.MessagingOp)
	messaging.recent = slices.Concat(c.Destination[:2], messaging.recent)
	messaging.former = slices.Concat(c.Destination[2:], messaging.former)
	messaging.lasting = c.MessagingSys
	environment := of("environment", c.Environment)
	environment.resource = true
	return []subject{
		http, rpc, of("database", c.DBSystem, c.DBName, c.DBOperation, c.DBTable, c.DBStatement), messaging, environment,
	}
}

// spansRow is the one row of doctor_spans.
type spansRow struct {
	looked         int64
	kinds, codes   []string
	span, resource []int64
}

// findSpans reads the words of the window's spans; of many, a sample of traces.
func (d *doctor) findSpans(ctx context.Context) {
	t := d.tables[signalTraces]
	if t == nil || t.Rows == 0 {
		return
	}
	var spanNames, resourceNames []string
	for _, s := range subjects() {
		if s.resource {
			resourceNames = append(resourceNames, s.names()...)
		} else {
			spanNames = append(spanNames, s.names()...)
		}
	}
	p := d.windowParams(t)
	p["span_names"], p["resource_names"], p["sample"] = spanNames, resourceNames, t.Rows/doctorSpans+1
	rows, err := bounded(ctx, d, "doctor_spans", p, func(rows driver.Rows) (r spansRow, err error) {
		return r, rows.Scan(&r.looked, &r.kinds, &r.codes, &r.span, &r.resource)
	})
	if err != nil {
		d.fail(t.Name, err)
		return
	}
	r := rows[0]
	counts := make(map[string]int64)
	for i, n := range r.span {
		counts[spanNames[i]] = n
	}
	resources := make(map[string]int64)
	for i, n := range r.resource {
		resources[resourceNames[i]] = n
	}
	d.out.Spans = SpansFound{
		Looked: r.looked, Kinds: r.kinds, StatusCodes: r.codes,
		Spelling: spelling(slices.Concat(r.kinds, r.codes)), Conventions: []ConventionFound{},
	}
	for _, s := range subjects() {
		of := counts
		if s.resource {
			of = resources
		}
		d.out.Spans.Conventions = append(d.out.Spans.Conventions, s.found(of))
	}
	d.judgeEnums(t)
}

func (s *subject) found(counts map[string]int64) ConventionFound {
	out := ConventionFound{About: s.about, Attributes: []AttributeFound{}}
	add := func(names []string, generation string) {
		for _, name := range names {
			n := counts[name]
			if n == 0 {
				continue
			}
			out.Attributes = append(out.Attributes, AttributeFound{name, n})
			if out.Generation != "" && out.Generation != generation {
				generation = GenerationBoth
			}
			out.Generation = generation
		}
	}
	add(s.recent, GenerationNew)
	add(s.former, GenerationOld)
	generation := out.Generation
	add(s.lasting, generation)
	if generation == "" && len(out.Attributes) > 0 {
		out.Generation = GenerationBoth
	}
	return out
}

func spelling(words []string) string {
	var long, short bool
	for _, w := range words {
		isLong := strings.HasPrefix(w, spanKindPrefix) || strings.HasPrefix(w, statusCodePrefix)
		long, short = long || isLong, short || !isLong && w != ""
	}
	switch {
	case long && short:
		return SpellingBoth
	case long:
		return SpellingLong
	case short:
		return SpellingShort
	}
	return ""
}

// judgeEnums warns of kinds and codes that no exporter writes: such spans serve
// nobody and never fail.
func (d *doctor) judgeEnums(t *TableFound) {
	for _, check := range []struct {
		column, prefix string
		found, known   []string
	}{
		{"SpanKind", spanKindPrefix, d.out.Spans.Kinds, []string{"Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"}},
		{"StatusCode", statusCodePrefix, d.out.Spans.StatusCodes, []string{"Unset", "Ok", "Error"}},
	} {
		for _, word := range check.found {
			isKnown := slices.ContainsFunc(check.known, func(k string) bool {
				return word == k || word == check.prefix+strings.ToUpper(k)
			})
			if !isKnown {
				d.find(Warning, t.Name, fmt.Sprintf("%s %q is of neither spelling that exporters write", check.column, word),
					"write the names as the exporter does, such as "+check.known[2])
			}
		}
	}
}
