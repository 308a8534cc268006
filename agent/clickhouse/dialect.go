package clickhouse

import (
	"maps"
	"slices"
	"strings"
	"text/template"
)

// dialect is how a table says what the statements need, as expressions. An
// exporter never changes a table that is there, so that its columns are those of
// the version that made it; users make tables of their own besides.
type dialect struct {
	// types of the columns; nil where nobody has looked: then it is a table of the
	// newest exporter with attributes in maps.
	types columnTypes

	// Temporality is 1 for increments. v0.104 renamed AggTemp and gave
	// histograms the column; before it they were all cumulative.
	Temporality string
	Monotonic   string
	Flags       string
	Unit        string
	// HasTimestampTime and HasTimestampDate tell of the columns by which logs of
	// v0.104 to v0.150 and v0.104 to v0.106 are sorted and partitioned.
	HasTimestampTime, HasTimestampDate bool
}

// dialectOf reads a table's columns.
func dialectOf(types columnTypes) dialect {
	either := func(fallback string, names ...string) string {
		for _, name := range names {
			if types.has(name) || types == nil {
				return name
			}
		}
		return fallback
	}
	return dialect{
		types:            types,
		Temporality:      either("2", "AggregationTemporality", "AggTemp"),
		Monotonic:        either("true", "IsMonotonic"),
		Flags:            either("0", "Flags"),
		Unit:             either("''", "MetricUnit"),
		HasTimestampTime: types.has("TimestampTime"),
		HasTimestampDate: types.has("TimestampDate"),
	}
}

// misfits are the codes of the server's errors about a statement that is in
// another dialect than its table.
func misfits() []int32 {
	return []int32{
		8,  // THERE_IS_NO_COLUMN
		10, // NOT_FOUND_COLUMN_IN_BLOCK
		codeNoSuchColumn,
		43, // ILLEGAL_TYPE_OF_ARGUMENT: ['key'] of a column of type JSON
		44, // ILLEGAL_COLUMN
		codeUnknownIdentifier,
		53,  // TYPE_MISMATCH
		386, // NO_COMMON_TYPE
		691, // UNKNOWN_ELEMENT_OF_ENUM
	}
}

// statementData is what the templates of sql/ are rendered with: the tables, the
// conventions, and the dialect of the table that the statement reads.
type statementData struct {
	Tables
	conventions
	dialect
}

// funcs are the functions of the templates of sql/.
//
//	kinds "Server" …   is the span of one of these kinds, in either spelling
//	failed             is the span's status Error, in either spelling
//	service            the span's service, unknownService where it has no name
//	attr "Map" .Name   the first non-empty value of an attribute, or ''
//	attrIs "Map" .Name "p"   is one of its values that of the parameter p (indexes on values apply)
//	hasAttr "Map" "k"  has it the attribute whose name the expression k gives
//	whole "Map"        all attributes, for attributeMap
//	wholes "Maps"      an array of them, for attributeMaps
//	element "Maps" "i" "name"   an attribute of the i-th of an array, or '', i an expression, 0 for none
//	ns "Time"          a time in nanoseconds
func (d *dialect) funcs() template.FuncMap {
	return template.FuncMap{
		"kinds":   kindsSQL,
		"failed":  func() string { return "StatusCode IN ('Error', 'STATUS_CODE_ERROR')" },
		"service": func() string { return "if(ServiceName = '', '" + unknownService + "', ServiceName)" },
		"attr":    d.attribute,
		"attrIs":  d.attributeIs,
		"hasAttr": d.hasAttribute,
		"whole":   d.whole,
		"wholes":  d.wholes,
		"element": d.element,
		"ns":      d.nanoseconds,
	}
}

// json tells whether a column's attributes are of type JSON (the exporter's
// json: true) and not a map.
func (d *dialect) json(column string) bool {
	if d.types.is(column, "JSON") {
		return true
	}
	// A column of a Nested one, which a custom table may have as an array of tuples.
	nested, _, _ := strings.Cut(column, ".")
	return strings.Contains(d.types[column]+d.types[nested], "Array") && strings.Contains(d.types[column]+d.types[nested], "JSON")
}

// materialized begins the names of columns that hold a resource attribute by
// itself, in logs since v0.151.
const materialized = "__otel_materialized_"

// value is one attribute, or ”. Of JSON only the path's own subcolumn is read;
// its value has the type that it was sent with.
func (d *dialect) value(column, name string) string {
	switch {
	case column == "ResourceAttributes" && d.types.has(materialized+name):
		return "`" + materialized + name + "`"
	case d.json(column):
		return "ifNull(toString(" + column + ".`" + name + "`), '')"
	case strings.Contains(d.types[column], "Nullable("): // a custom map
		return "ifNull(" + column + "['" + name + "'], '')"
	}
	return column + "['" + name + "']"
}

func (d *dialect) attribute(column string, a attribute) string {
	if len(a) == 1 {
		return d.value(column, a[0])
	}
	var sql strings.Builder
	sql.WriteString("multiIf(")
	for _, name := range a {
		value := d.value(column, name)
		sql.WriteString(value + " != '', " + value + ", ")
	}
	sql.WriteString("'')")
	return sql.String()
}

// attributeIs does not use the exporter's columns of JSON keys: rows from before
// v0.141 have them empty.
func (d *dialect) attributeIs(column string, a attribute, param string) string {
	conditions := make([]string, 0, len(a))
	for _, name := range a {
		conditions = append(conditions, d.value(column, name)+" = {"+param+":String}")
	}
	return "(" + strings.Join(conditions, " OR ") + ")"
}

func (d *dialect) hasAttribute(column, key string) string {
	if d.json(column) {
		return "has(JSONAllPaths(" + column + "), " + key + ")"
	}
	return "ifNull(" + column + "[" + key + "], '') != ''"
}

// whole of a table that nobody has looked at fails on the server where it is
// JSON, and not only here.
func (d *dialect) whole(column string) string {
	switch {
	case d.json(column):
		return "toJSONString(" + column + ")"
	case d.types == nil, strings.Contains(d.types[column], "Nullable("):
		return "CAST(mapFilter((k, v) -> v IS NOT NULL, " + column + "), 'Map(String, String)')"
	}
	return column
}

func (d *dialect) wholes(column string) string {
	switch {
	case d.json(column):
		return "arrayMap(attributes -> toJSONString(attributes), `" + column + "`)"
	case d.types == nil, strings.Contains(d.types[column], "Nullable("):
		return "CAST(arrayMap(m -> mapFilter((k, v) -> v IS NOT NULL, m), `" + column + "`), 'Array(Map(String, String))')"
	}
	return "`" + column + "`"
}

func (d *dialect) element(column, index, name string) string {
	if d.json(column) {
		return "ifNull(toString(arrayElement(`" + column + "`.`" + name + "`, " + index + ")), '')"
	}
	return "ifNull(`" + column + "`[" + index + "]['" + name + "'], '')"
}

// nanoseconds is the time of a column of the exporter's, DateTime64, or of a
// custom one in whole seconds.
func (d *dialect) nanoseconds(column string) string {
	if d.types.is(column, "DateTime") {
		return "toUnixTimestamp64Nano(toDateTime64(" + column + ", 9))"
	}
	return "toUnixTimestamp64Nano(" + column + ")"
}

// from is what stands after FROM: the table, or where its columns may be NULL or
// are enums, which no exporter makes, a subquery that has texts and numbers in
// their place. Of times NULL is no row.
func (d dialect) from(table string) string {
	if !d.wrapped() {
		return table
	}
	columns := make([]string, 0, len(d.types))
	for _, name := range slices.Sorted(maps.Keys(d.types)) {
		quoted := "`" + strings.ReplaceAll(strings.ReplaceAll(name, `\`, `\\`), "`", "\\`") + "`"
		if plain := plainColumn(quoted, d.types[name]); plain != "" {
			quoted = plain + " AS " + quoted
		}
		columns = append(columns, quoted)
	}
	return "(SELECT " + strings.Join(columns, ", ") + " FROM " + table + ")"
}

// wrapped tells whether from is a subquery.
func (d *dialect) wrapped() bool { return len(d.types.wrapped()) > 0 }

// plainColumn is the expression that has a text or number for a column that may
// be NULL or is an enum; "" for a column that needs none.
func plainColumn(column, kind string) string {
	base := strings.TrimPrefix(kind, "LowCardinality(")
	base, nullable := strings.CutPrefix(base, "Nullable(")
	base = strings.TrimRight(base, ")")
	if strings.HasPrefix(base, "Enum") {
		return "ifNull(toString(" + column + "), '')"
	}
	if !nullable {
		return ""
	}
	switch {
	case strings.HasPrefix(base, "String"), strings.HasPrefix(base, "FixedString"):
		return "ifNull(" + column + ", '')"
	case strings.HasPrefix(base, "Float"):
		return "ifNull(" + column + ", nan)" // no sample, not one of 0
	case strings.HasPrefix(base, "Int"), strings.HasPrefix(base, "UInt"):
		return "ifNull(" + column + ", 0)"
	case base == "Bool":
		return "ifNull(" + column + ", false)"
	}
	return ""
}

func kindsSQL(kinds ...string) string {
	names := make([]string, 0, 2*len(kinds))
	for _, k := range kinds {
		names = append(names, "'"+k+"'", "'"+spanKindPrefix+strings.ToUpper(k)+"'")
	}
	return "SpanKind IN (" + strings.Join(names, ", ") + ")"
}
