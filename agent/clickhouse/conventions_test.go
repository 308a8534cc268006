package clickhouse

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	gocmp "github.com/google/go-cmp/cmp"
)

// generations are the names that the migration guides of the semantic conventions
// give, newest first, by what they are read for here.
func generations() map[string][]string {
	return map[string][]string{
		"HTTPMethod": {"http.request.method", "http.method"},
		"HTTPStatus": {"http.response.status_code", "http.status_code"},
		"HTTPRoute":  {"http.route"},
		"HTTPURL":    {"url.full", "http.url"},
		"HTTPPath":   {"url.path", "http.target"},
		"HTTPQuery":  {"url.query"},
		"HTTPHost":   {"http.host"},
		// Of a client span, and of a server span.
		"ServerAddress": {"server.address", "net.peer.name"}, "ServerPort": {"server.port", "net.peer.port"},
		"ServingAddress": {"server.address", "net.host.name"}, "ServingPort": {"server.port", "net.host.port"},
		"PeerAddress":  {"network.peer.address", "net.sock.peer.addr", "net.peer.ip"},
		"PeerService":  {"service.peer.name", "peer.service"},
		"RPCSystem":    {"rpc.system.name", "rpc.system"},
		"RPCMethod":    {"rpc.method"},
		"RPCService":   {"rpc.service"},
		"DBSystem":     {"db.system.name", "db.system"},
		"DBName":       {"db.namespace", "db.name", "db.mssql.instance_name", "db.redis.database_index"},
		"DBOperation":  {"db.operation.name", "db.operation"},
		"DBTable":      {"db.collection.name", "db.sql.table", "db.mongodb.collection", "db.cassandra.table", "db.cosmosdb.container"},
		"DBStatement":  {"db.query.text", "db.statement"},
		"MessagingSys": {"messaging.system"},
		"MessagingOp":  {"messaging.operation.type", "messaging.operation"},
		"Destination":  {"messaging.destination.template", "messaging.destination.name", "messaging.destination"},
		"ErrorType":    {"error.type"},
		"Environment":  {"deployment.environment.name", "deployment.environment"},
		// Not of generations, but of what is nearest to the meaning.
		"ServiceNamespace": {"service.namespace", "k8s.namespace.name"},
		"NamespaceName":    {"k8s.namespace.name", "service.namespace"},
		"Workload":         {"k8s.deployment.name", "k8s.container.name", "k8s.pod.name"},
		"ServiceVersion":   {"service.version"},
		"InstanceID":       {"service.instance.id"},
		"PodName":          {"k8s.pod.name"},
		"NodeName":         {"k8s.node.name"},
		"DeploymentName":   {"k8s.deployment.name"},
		"ClusterName":      {"k8s.cluster.name", "cluster.name"},
	}
}

// Go and SQL, of a map and of JSON, read each meaning from every name that it has
// had, and from the newest where several say something.
func TestConventions(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	exec("CREATE TABLE both (id String, m Map(LowCardinality(String), String), j JSON) ENGINE = MergeTree ORDER BY id")
	want := generations()
	conventions := reflect.ValueOf(semanticConventions())
	if n := conventions.NumField(); n != len(want) {
		t.Errorf("%d meanings are read, %d are known here", n, len(want))
	}
	mapped := dialectOf(columnTypes{"m": "Map(LowCardinality(String), String)"})
	typed := dialectOf(columnTypes{"j": "JSON(max_dynamic_paths=8)"})
	for _, meaning := range slices.Sorted(maps.Keys(want)) {
		names := want[meaning]
		field := conventions.FieldByName(meaning)
		if !field.IsValid() {
			t.Errorf("%s is not read", meaning)
			continue
		}
		read, _ := field.Interface().(attribute)
		expected := map[string]string{"none": ""}
		rows := []string{"('none', map(), '{}')"}
		for i := range names {
			given := map[string]string{"unrelated": "x"}
			if i > 0 {
				given[names[0]] = "" // says nothing
			}
			for j, name := range names[i:] {
				given[name] = fmt.Sprintf("v%d", i+j)
			}
			id := fmt.Sprintf("from %d", i)
			expected[id] = fmt.Sprintf("v%d", i)
			if got := read.of(given); got != expected[id] {
				t.Errorf("%s of %v is %q, want %q", meaning, given, got, expected[id])
			}
			rows = append(rows, "('"+id+"', "+pairsSQL(given, "map(", ", ", ")", "'")+", '"+pairsSQL(given, "{", ": ", "}", `"`)+"')")
		}
		exec("TRUNCATE TABLE both")
		exec("INSERT INTO both VALUES " + strings.Join(rows, ", "))
		for column, d := range map[string]dialect{"m": mapped, "j": typed} {
			got := make(map[string]string)
			sql := "SELECT id, " + d.attribute(column, read) + " FROM both"
			if _, err := queryText(t.Context(), s, "conventions", sql, nil, func(rows driver.Rows) (struct{}, error) {
				var id, value string
				err := rows.Scan(&id, &value)
				got[id] = value
				return struct{}{}, err
			}); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(expected, got); diff != "" {
				t.Errorf("%s from %s: %s", meaning, column, diff)
			}
		}
	}
}

func pairsSQL(m map[string]string, begin, between, end, quote string) string {
	var out []string
	separator := between
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, quote+k+quote+separator+quote+m[k]+quote)
	}
	return begin + strings.Join(out, ", ") + end
}

// Replies have the long spelling, whichever the collector wrote.
func TestEnumNames(t *testing.T) {
	t.Parallel()
	for _, k := range []string{"Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"} {
		long := "SPAN_KIND_" + strings.ToUpper(k)
		checkEqual(t, "kinds", []string{spanKind(k), spanKind(long)}, []string{long, long})
	}
	for _, c := range []string{"Unset", "Ok", "Error"} {
		long := "STATUS_CODE_" + strings.ToUpper(c)
		checkEqual(t, "codes", []string{statusCode(c), statusCode(long)}, []string{long, long})
	}
	checkEqual(t, "nothing", []string{spanKind(""), statusCode("")}, []string{"SPAN_KIND_UNSPECIFIED", "STATUS_CODE_UNSET"})
}

// The systems that the stable conventions renamed, after the database migration guide.
func TestRenamedDatabases(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"mssql": "microsoft.sql_server", "oracle": "oracle.db", "db2": "ibm.db2", "dynamodb": "aws.dynamodb",
		"redshift": "aws.redshift", "cosmosdb": "azure.cosmosdb", "spanner": "gcp.spanner", "h2": "h2database",
		"firebird": "firebirdsql", "hanadb": "sap.hana",
	}
	got := make(map[string]string)
	before, after := renamedDatabases()
	for i, name := range before {
		got[name] = after[i]
	}
	checkEqual(t, "renamed", got, want)
}

// Every statement that names a table is in that table's dialect.
func TestStatementsAreInTheDialectOfTheirTable(t *testing.T) {
	t.Parallel()
	tables := Tables{
		Traces: "a_spans", TraceIDs: "b_ids", Logs: "c_logs", Gauge: "d_gauge", Sum: "e_sum",
		Histogram: "f_histogram", ExpHistogram: "g_exponential", Summary: "h_summary",
	}
	schemas, err := newSchemas(tables)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[signal]bool)
	for name, sql := range schemas.current.Load().queries {
		for _, k := range tableKinds(tables) {
			if !strings.Contains(sql, k.name) {
				continue
			}
			if got := statementTable(name); got != k.signal {
				t.Errorf("%s reads %s and is in the dialect of %q", name, k.name, got)
			}
			seen[k.signal] = true
		}
	}
	if len(seen) != 7 { // all but summaries
		t.Errorf("only the tables of %v are read", seen)
	}
}
