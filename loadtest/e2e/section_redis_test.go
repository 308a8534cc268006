package e2e_test

import (
	"encoding/json"
	"net"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// recipe is what the documentation tells people to type.
const recipe = "return cjson.encode(cmsgpack.unpack(redis.call('HGET',KEYS[1],ARGV[1])))"

// sectionPaths says where the API serves each section.
func sectionPaths() map[model.Section]string {
	return map[model.Section]string{
		model.SectionMetricsSummary: "/observe/metrics/summary",
		model.SectionMetricsNodes:   "/observe/metrics/nodes",
		model.SectionTracesServices: "/observe/traces/services",
		model.SectionTracesTopology: "/observe/traces/topology",
		model.SectionSLOSummary:     "/observe/slo/summary",
		model.SectionSLOIngress:     "/observe/slo/ingress",
		model.SectionSLOServices:    "/observe/slo/services",
		model.SectionSLOEdges:       "/observe/slo/edges",
		model.SectionOverview:       "/observe/overview",
	}
}

// testStockRedis reads every field of the snapshot with what stock Redis brings
// along and compares it with the API's data, value by value.
func testStockRedis(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	client := s.redis.Client(t)
	snapshot := key.Cluster(c.id).Snapshot()
	fields, err := client.HKeys(t.Context(), snapshot).Result()
	if err != nil {
		t.Fatal(err)
	}
	paths := sectionPaths()
	if len(fields) != len(paths) {
		t.Errorf("the snapshot has %q, want the %d sections of the API", fields, len(paths))
	}
	for _, field := range fields {
		path, known := paths[model.Section(field)]
		if !known {
			t.Errorf("the snapshot has %s, which no endpoint serves", field)
			continue
		}
		eval := func() string {
			text, err := client.Eval(t.Context(), recipe, []string{snapshot}, field).Text()
			if err != nil {
				t.Fatalf("%s: the recipe fails: %v", field, err)
			}
			return text
		}
		compareWithRecipe(t, s, c, field, path, eval)
	}
}

// compareWithRecipe asks the API between two reads of Redis: if they are equal,
// the answer is of the same snapshot.
func compareWithRecipe(t *testing.T, s *stack, c cluster, field, path string, read func() string) {
	t.Helper()
	var text string
	var data json.RawMessage
	eventually(t, field+" stays the same for a moment", func() bool {
		text = read()
		data = s.dashboard(t, c, path).Data
		return read() == text
	})
	want, got := generic(t, []byte(text)), generic(t, data)
	// Equal, not nearly: floats are written with no more digits than cjson prints.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -stock redis +api\n%s", field, clip(diff, 40))
	}
	if len(data) < 50 {
		t.Errorf("%s: the API has only %s to compare", field, data)
	}
}

// testRedisCLI does the same with the program that people use.
func testRedisCLI(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Fatal("redis-cli is not in PATH; it comes with the redis-server that the tests need: apt-get install redis-tools")
	}
	host, port, err := net.SplitHostPort(s.redis.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for field, path := range sectionPaths() {
		compareWithRecipe(t, s, c, string(field), path, func() string {
			out, err := exec.CommandContext(t.Context(), cli, "-h", host, "-p", port, "EVAL", recipe, "1", //nolint:gosec // our own arguments
				"atlhyper:{"+c.id+"}:snapshot", string(field)).Output()
			if err != nil {
				t.Fatalf("redis-cli: %v", err)
			}
			return string(out)
		})
	}
}

// generic reads JSON without a type. An empty list and an empty object become
// the same: Lua has one kind of table, so cjson prints {} for both.
func generic(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	return withoutEmptyLists(v)
}

func withoutEmptyLists(v any) any {
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return map[string]any{}
		}
		for i := range v {
			v[i] = withoutEmptyLists(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = withoutEmptyLists(v[k])
		}
	}
	return v
}
