package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// TableFound is one of the configured tables.
type TableFound struct {
	Signal signal `json:"signal"`
	Name   string `json:"name"`
	Found  bool   `json:"found"`
	Engine string `json:"engine"` // MergeTree, View, Distributed, …
	Over   string `json:"over"`   // of Distributed: the table on each shard
	// MadeBy says which exporters make such a table.
	MadeBy string `json:"madeBy"`
	// Columns are those whose types differ between the generations.
	Columns []ColumnFound `json:"columns"`
	// Missing are columns that exporters of every generation make.
	Missing []string `json:"missing"`
	// Rows are of the last 15 minutes; Future those from after now.
	Rows   int64 `json:"rows"`
	Future int64 `json:"future"`
	Empty  bool  `json:"empty"` // it has no row at all
	// NewestSeconds is the age of the newest row, negative in the future; null
	// where there is none or it cannot be read.
	NewestSeconds *float64 `json:"newestSeconds"`

	database, table string
	types           columnTypes
}

// ColumnFound is a column and its type.
type ColumnFound struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// quiet tells whether the table has rows, but none of the window.
func (t *TableFound) quiet() bool {
	return t != nil && t.Rows == 0 && !t.Empty && t.NewestSeconds != nil
}

type tableKey struct{ database, table string }

// findTables describes the configured tables.
func (d *doctor) findTables(ctx context.Context) {
	found := make([]TableFound, len(d.kinds))
	databases, names := []string{d.out.Server.Database}, make([]string, 0, len(d.kinds))
	for i, k := range d.kinds {
		t := &found[i]
		*t = TableFound{Signal: k.signal, Name: k.name, Columns: []ColumnFound{}, Missing: []string{}}
		t.database, t.table = d.out.Server.Database, k.name
		if database, table, ok := strings.Cut(k.name, "."); ok {
			t.database, t.table = database, table
			databases = append(databases, database)
		}
		names = append(names, t.table)
	}
	p := params{"databases": databases, "names": names}
	engines, types := d.engines(ctx, p), d.columnTypes(ctx, p)
	for i, k := range d.kinds {
		t := &found[i]
		key := tableKey{t.database, t.table}
		engine, ok := engines[key]
		if t.types = types[key]; !ok && t.types == nil {
			continue
		}
		t.Found, t.Engine, t.Over = true, engine.name, engine.over
		k.describe(t)
		d.tables[k.signal] = t
		d.countRows(ctx, k, t)
	}
	d.out.Tables = found
	d.judgeTables(ctx)
}

type engineFound struct{ name, over string }

var distributedEngine = regexp.MustCompile(`^Distributed\('?[^',]*'?, *'?([^',]*)'?, *'?([^',)]*)'?`)

// distributedOver is the table on the shards in the text of a Distributed engine,
// without the name of the cluster; "" for other engines.
func distributedOver(engine string) string {
	m := distributedEngine.FindStringSubmatch(engine)
	if m == nil {
		return ""
	}
	return strings.TrimPrefix(m[1]+"."+m[2], ".")
}

func (d *doctor) engines(ctx context.Context, p params) map[tableKey]engineFound {
	out := make(map[tableKey]engineFound)
	_, err := bounded(ctx, d, "doctor_tables", p, func(rows driver.Rows) (struct{}, error) {
		var (
			key  tableKey
			e    engineFound
			full string
		)
		err := rows.Scan(&key.database, &key.table, &e.name, &full)
		e.over = distributedOver(full)
		out[key] = e
		return struct{}{}, err
	})
	if err != nil {
		d.fail("tables", err)
	}
	return out
}

func (d *doctor) columnTypes(ctx context.Context, p params) map[tableKey]columnTypes {
	out := make(map[tableKey]columnTypes)
	_, err := bounded(ctx, d, "doctor_columns", p, func(rows driver.Rows) (struct{}, error) {
		var (
			key          tableKey
			column, kind string
		)
		err := rows.Scan(&key.database, &key.table, &column, &kind)
		if out[key] == nil {
			out[key] = make(columnTypes)
		}
		out[key][column] = kind
		return struct{}{}, err
	})
	if err != nil {
		d.fail("columns", err)
	}
	return out
}

// rowCount is what a table says of its rows.
type rowCount struct{ rows, future, newestMs int64 }

func (d *doctor) countRows(ctx context.Context, k tableKind, t *TableFound) {
	p := d.windowParams(t)
	p["time"] = k.time
	counts, err := bounded(ctx, d, "doctor_rows", p, func(rows driver.Rows) (c rowCount, err error) {
		return c, rows.Scan(&c.rows, &c.future, &c.newestMs)
	})
	if err != nil {
		d.fail(t.Name, err)
		return
	}
	c := counts[0]
	t.Rows, t.Future = c.rows, c.future
	if c.rows+c.future == 0 {
		older, err := bounded(ctx, d, "doctor_newest", params{"database": t.database, "table": t.table, "time": k.time},
			func(rows driver.Rows) (c rowCount, err error) { return c, rows.Scan(&c.rows, &c.newestMs) })
		if err != nil {
			d.fail(t.Name, err)
			return
		}
		c = older[0]
	}
	if t.Empty = c.rows+c.future == 0; !t.Empty {
		seconds := d.out.At.Sub(time.UnixMilli(c.newestMs)).Seconds()
		t.NewestSeconds = &seconds
	}
	if t.Future > 0 {
		d.find(Warning, t.Name, fmt.Sprintf("%s from the future, the newest from %s after now",
			number(int(t.Future), "row"), spoken(-time.Duration(*t.NewestSeconds*float64(time.Second)))),
			"run NTP on the machines that send them: the agent's windows end at now")
	}
}

// judgeTables says what absent and odd tables mean.
func (d *doctor) judgeTables(ctx context.Context) {
	var absent []tableKind
	for _, k := range d.kinds {
		t := d.tables[k.signal]
		if t == nil {
			absent = append(absent, k)
			continue
		}
		if len(t.Missing) > 0 {
			d.find(Warning, t.Name, "lacks columns of the exporter's: "+strings.Join(t.Missing, ", "), "add them, or name another table with "+k.flag)
		}
		if t.types.json() {
			d.find(Note, t.Name, "its attributes are of type JSON: they are read as text, lists as JSON, objects in them as names with dots", "")
		}
		if columns := t.types.unread(); len(columns) > 0 {
			d.find(Problem, t.Name, "attributes are read from columns of type Map or JSON, which these are not: "+strings.Join(columns, ", "),
				"make them maps, or name another table with "+k.flag)
		}
		if columns := t.types.wrapped(); len(columns) > 0 {
			d.find(Note, t.Name, "columns that may be NULL or are enums are read as text and numbers, without an index on them: "+strings.Join(columns, ", "), "")
		}
	}
	if len(absent) == 0 {
		return
	}
	elsewhere := d.candidates(ctx)
	for _, k := range absent {
		text, remedy, level := "there is no such table", "", Note
		if names := elsewhere[k.signal]; len(names) > 0 {
			text = fmt.Sprintf("there is no such table, but %s looks like a table of %s", strings.Join(names, ", "), k.signal)
			remedy, level = "give "+k.flag+" "+names[0], Problem
		} else if k.absent != "" && d.tables[signalTraces] != nil {
			text, remedy, level = "there is no such table: "+k.absent, k.remedy, Warning
		}
		d.find(level, k.name, text, remedy)
	}
	if len(d.tables) == 0 {
		d.find(Problem, "database "+d.out.Server.Database, "none of the exporter's tables is here",
			"name the collector's database in the DSN or with --database, or let the collector make its tables (create_schema: true)")
	}
}

// candidates are tables by what they look like: in this database, or in others
// where this one has nothing.
func (d *doctor) candidates(ctx context.Context) map[signal][]string {
	columns := make([]string, 0, 32)
	for _, k := range d.kinds {
		columns = append(columns, k.marks...)
	}
	slices.Sort(columns)
	out := make(map[signal][]string)
	_, err := bounded(ctx, d, "doctor_candidates", params{"columns": slices.Compact(columns), "database": d.out.Server.Database},
		func(rows driver.Rows) (struct{}, error) {
			var (
				key  tableKey
				have []string
			)
			if err := rows.Scan(&key.database, &key.table, &have); err != nil {
				return struct{}{}, err
			}
			if key.database != d.out.Server.Database && len(d.tables) > 0 || strings.HasSuffix(key.table, "_mv") {
				return struct{}{}, nil
			}
			if s := looksLike(d.kinds, have); s != "" && !d.configured(key) {
				name := key.table
				if key.database != d.out.Server.Database {
					name = key.database + "." + key.table
				}
				out[s] = append(out[s], name)
			}
			return struct{}{}, nil
		})
	if err != nil {
		d.fail("tables", err)
	}
	return out
}

func (d *doctor) configured(key tableKey) bool {
	for _, t := range d.tables {
		if (tableKey{t.database, t.table}) == key {
			return true
		}
	}
	return false
}

// looksLike is the signal of a table with these columns: the one with the most
// marks, all of which it has.
func looksLike(kinds []tableKind, have []string) signal {
	best := tableKind{}
	for _, k := range kinds {
		all := !slices.ContainsFunc(k.marks, func(c string) bool { return !slices.Contains(have, c) })
		if all && cmp.Compare(len(k.marks), len(best.marks)) > 0 {
			best = k
		}
	}
	return best.signal
}
