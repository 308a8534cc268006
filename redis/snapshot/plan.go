package snapshot

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// left is what a writer left in Redis with its last publish, all of it. Who finds it
// unchanged finds the snapshot as it was written; see publishLua.
type left struct {
	snapshotFields, metaFields int64
	sections                   string // meta's field
}

// plan is what one publish says.
type plan struct {
	keys     []string
	who      string
	sections string // meta's field after this publish
	numbers  [][]string
	base     int64 // what at counts from
	values   []any
	fields   []any
	gone     []any
	said     map[model.Section]said
	written  []model.Section
	bytes    int
	clock    *conn.Clock
}

// question asks whether the writer may begin.
func (w *Writer) question() *plan {
	c := w.cfg.Cluster
	return &plan{keys: []string{c.Snapshot(), c.Meta(), c.Agents()}, who: strconv.FormatInt(w.seq, 10) + " " + w.cfg.Instance}
}

// plan is a publish of all that Redis does not hold, as far as the writer knows.
func (w *Writer) plan() *plan {
	names := w.names()
	p := w.question()
	p.sections, p.base = join(names), -1
	p.said, p.clock = make(map[model.Section]said, len(names)), w.clients.Clock(w.cfg.Cluster)
	if w.left != nil {
		p.keys = p.keys[:2]
		p.who = fmt.Sprintf("%d %d %d %s", w.seq, w.left.snapshotFields, w.left.metaFields, tag(w.cfg.Instance))
	} else {
		p.fields = append(p.fields,
			key.MetaAgent, w.cfg.Instance, key.MetaVersion, w.cfg.Version, key.MetaInterval, w.cfg.Interval.Milliseconds())
	}
	if w.left == nil || w.left.sections != p.sections {
		p.fields = append(p.fields, key.MetaSections, p.sections)
	}
	for _, name := range names {
		s := w.sections[name]
		p.said[name] = s.say(p.clock, w.cfg.Interval)
		if at := p.said[name][key.FieldAt]; at.there && at != s.held[key.FieldAt] && (p.base < 0 || at.number < p.base) {
			p.base = at.number
		}
	}
	for _, name := range names {
		p.add(name, w.sections[name])
	}
	return p
}

func join(names []model.Section) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return strings.Join(texts, " ")
}

// add adds what is new in a section.
func (p *plan) add(name model.Section, s *section) {
	now := p.said[name]
	if now[key.FieldHash] != s.held[key.FieldHash] {
		p.values = append(p.values, string(name), s.good.bytes)
		p.written = append(p.written, name)
		p.bytes += len(s.good.bytes)
	}
	row := make([]string, 0, len(columns()))
	for _, field := range columns() {
		row = append(row, p.column(now, s.held, field))
	}
	p.numbers = append(p.numbers, row)
	for _, field := range key.SectionFields() {
		is, told := now[field]
		was, known := s.held[field]
		switch {
		case !told || known && is == was:
		case !is.there:
			p.gone = append(p.gone, key.Field(name, field))
		case is.text != "":
			p.fields = append(p.fields, key.Field(name, field), is.text)
		}
	}
}

// column is a number of publishLua; "" when it stays, or goes.
func (p *plan) column(now, held said, field key.SectionField) string {
	is := now[field]
	if !is.there || is == held[field] {
		return ""
	}
	if field == key.FieldAt {
		is.number -= p.base
	}
	return strconv.FormatInt(is.number, 36)
}

// args are the script's.
func (p *plan) args() []any {
	if p.said == nil {
		return []any{p.who}
	}
	rows := []string{""}
	if p.base >= 0 {
		rows[0] = strconv.FormatInt(p.base, 36)
	}
	for _, row := range p.numbers {
		rows = append(rows, strings.TrimRight(strings.Join(row, ","), ","))
	}
	args := []any{p.who, strings.TrimRight(strings.Join(rows, ";"), ";")}
	if len(p.values)+len(p.fields)+len(p.gone) == 0 {
		return args
	}
	for _, list := range []struct {
		items []any
		width int
	}{{p.values, 2}, {p.fields, 2}, {p.gone, 1}} {
		args = append(args, len(list.items)/list.width)
		args = append(args, list.items...)
	}
	return args
}
