package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/codec/wiretest"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

var update = flag.Bool("update", false, "rewrite the golden files: the wire format changes for agents and masters in the field")

func files() wiretest.Files { return wiretest.Files{Dir: "testdata", Update: *update} }

// wireTypes are all values that go over the wire, each with a file of its bytes
// in testdata, so that a change of the wire is seen in review.
func wireTypes() map[string]any {
	return map[string]any{
		"metrics.summary": &model.MetricsSummary{},
		"metrics.nodes":   &[]model.NodeMetrics{},
		"traces.services": &[]model.Service{},
		"traces.topology": &model.Topology{},
		"slo.summary":     &model.SLOSummary{},
		"slo.ingress":     &[]model.IngressSLO{},
		"slo.services":    &[]model.MeshService{},
		"slo.edges":       &[]model.MeshEdge{},
		"otel.overview":   &model.Overview{},
		"node":            &model.NodeMetrics{},
		"node_series":     &model.NodeSeries{},
		"traces":          &[]model.TraceSummary{},
		"trace":           &model.Trace{},
		"logs":            &model.LogPage{},
		"slo_series":      &model.SLOSeries{},
		"ask.node":        &detail.Node{},
		"ask.node_series": &detail.NodeSeries{},
		"ask.traces":      &detail.Traces{},
		"ask.trace":       &detail.Trace{},
		"ask.logs":        &detail.Logs{},
		"ask.slo_series":  &detail.SLOSeries{},
		"ask.section":     &detail.Section{},
		"reply.meta":      &detail.Meta{},

		"k8s.summary":         &model.KubeSummary{},
		"k8s.nodes":           &[]model.KubeNode{},
		"k8s.pods":            &[]model.KubePod{},
		"k8s.deployments":     &[]model.KubeDeployment{},
		"k8s.statefulsets":    &[]model.KubeStatefulSet{},
		"k8s.daemonsets":      &[]model.KubeDaemonSet{},
		"k8s.replicasets":     &[]model.KubeReplicaSet{},
		"k8s.jobs":            &[]model.KubeJob{},
		"k8s.cronjobs":        &[]model.KubeCronJob{},
		"k8s.services":        &[]model.KubeService{},
		"k8s.ingresses":       &[]model.KubeIngress{},
		"k8s.namespaces":      &[]model.KubeNamespace{},
		"k8s.configmaps":      &[]model.KubeConfigMap{},
		"k8s.secrets":         &[]model.KubeSecret{},
		"k8s.pvs":             &[]model.KubePV{},
		"k8s.pvcs":            &[]model.KubePVC{},
		"k8s.resourcequotas":  &[]model.KubeResourceQuota{},
		"k8s.limitranges":     &[]model.KubeLimitRange{},
		"k8s.networkpolicies": &[]model.KubeNetworkPolicy{},
		"k8s.serviceaccounts": &[]model.KubeServiceAccount{},
		"k8s.events":          &[]model.KubeEvent{},
	}
}

// fill gives every field of v a value of its own, lists two elements.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range []string{"zeta", "alpha <&> \u2028 \x01"} {
			v.SetMapIndex(reflect.ValueOf(k), reflect.ValueOf("value of "+k))
		}
	case reflect.String:
		v.SetString(strings.Repeat("é\"\n", *n%3) + "text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.25)
	case reflect.Int64:
		v.SetInt(int64(*n) << (*n % 40))
	}
}

func TestWireTypes(t *testing.T) {
	t.Parallel()
	for name, v := range wireTypes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			fill(reflect.ValueOf(v).Elem(), &n)
			data, err := codec.Encode(v)
			if err != nil {
				t.Fatal(err)
			}

			back := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := codec.Decode(data, back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, back); diff != "" {
				t.Errorf("decoded differs (-want +got):\n%s", diff)
			}

			got, err := codec.ToJSON(nil, data)
			if err != nil {
				t.Fatal(err)
			}
			if want := plainJSON(t, v); !bytes.Equal(got, want) {
				t.Errorf("ToJSON differs from encoding/json:\n got %s\nwant %s", got, want)
			}
			files().Written(t, name+".msgpack", data)
			for _, old := range files().All(t, name+".msgpack") {
				read := reflect.New(reflect.TypeOf(v).Elem()).Interface()
				if err := codec.Decode(old.Data, read); err != nil {
					t.Fatalf("what %s wrote: %v", old.Release, err)
				}
				again, err := codec.Encode(read)
				if err != nil {
					t.Fatal(err)
				}
				wiretest.Kept(t, old.Data, again)
			}
			wiretest.Evolves(t, v)
		})
	}
}

func plainJSON(t *testing.T, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

func TestListsAreNeverNull(t *testing.T) {
	t.Parallel()
	for name, v := range wireTypes() {
		data, err := codec.Encode(v) // zero values: every slice and map is nil
		if err != nil {
			t.Fatal(err)
		}
		got, err := codec.ToJSON(nil, data)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(got, []byte("null")) {
			t.Errorf("%s: %s holds null", name, got)
		}
	}
}

func TestEncodeIsDeterministic(t *testing.T) {
	t.Parallel()
	labels := map[string]string{}
	for _, k := range strings.Split("the quick brown fox jumps over a lazy dog", " ") {
		labels[k] = k
	}
	first, err := codec.Encode(labels)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		again, err := codec.Encode(labels)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Fatal("equal values have different bytes")
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value any
		path  string
	}{
		"NaN": {[]model.MeshEdge{{}, {RPS: math.NaN()}}, "[1].rps"},
		"Inf": {model.Topology{Nodes: []model.TopologyNode{{P99Ms: math.Inf(1)}}}, "nodes[0].p99Ms"},
		"binary": {struct {
			B []byte `json:"b"`
		}{[]byte("x")}, "b"},
		"integer key": {map[int]string{1: "a"}, "value"},
		"no tag":      {struct{ A int }{1}, "value"},
		"bad raw": {struct {
			R codec.Raw `json:"r"`
		}{codec.Raw{0x92, 0x01}}, "r"},
		"channel": {make(chan int), "value"},
	} {
		if _, err := codec.Encode(c.value); err == nil || !strings.Contains(err.Error(), c.path+": ") {
			t.Errorf("%s: error %v, want one that names %q", name, err, c.path)
		}
	}
}

func TestFloatsKeepFourteenDigits(t *testing.T) {
	t.Parallel()
	for in, want := range map[float64]string{
		0.1 + 0.2:                "0.3",
		99.99999999999999:        "100",
		1.0 / 3:                  "0.33333333333333",
		-0.000000123456789012345: "-1.2345678901234e-7",
		1e300:                    "1e+300",
		5:                        "5",
		99999999999999:           "99999999999999",
		-123456789012346:         "-123456789012350",
	} {
		data, err := codec.Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := codec.ToJSON(nil, data)
		if err != nil || string(got) != want {
			t.Errorf("%v became %s (%v), want %s", in, got, err, want)
		}
	}
}

func TestRawIsEmbedded(t *testing.T) {
	t.Parallel()
	type envelope struct {
		ID   string    `json:"id"`
		Data codec.Raw `json:"data"`
	}
	inner, err := codec.Encode(model.SLOSummary{TotalServices: 3})
	if err != nil {
		t.Fatal(err)
	}
	data, err := codec.Encode(envelope{ID: "a", Data: inner})
	if err != nil {
		t.Fatal(err)
	}
	var got envelope
	if err := codec.Decode(data, &got); err != nil {
		t.Fatal(err)
	}
	var sum model.SLOSummary
	if err := codec.Decode(got.Data, &sum); err != nil {
		t.Fatal(err)
	}
	if sum.TotalServices != 3 || got.ID != "a" {
		t.Errorf("got %+v, %+v", got, sum)
	}
}

func TestNewerWriterOlderReader(t *testing.T) {
	t.Parallel()
	data, err := codec.Encode(map[string]any{"totalServices": 7, "invented": []any{map[string]any{"deep": true}}})
	if err != nil {
		t.Fatal(err)
	}
	var got model.SLOSummary
	if err := codec.Decode(data, &got); err != nil || got.TotalServices != 7 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestHostileInput(t *testing.T) {
	t.Parallel()
	deep := append(bytes.Repeat([]byte{0x91}, 1_000_000), 0xc0)
	for name, c := range map[string]struct {
		data []byte
		want error // nil: any
	}{
		"empty":               {nil, codec.ErrTruncated},
		"deep lists":          {deep, codec.ErrTooDeep},
		"list of 4 G":         {[]byte{0xdd, 0xff, 0xff, 0xff, 0xff}, codec.ErrTruncated},
		"map of 4 G":          {[]byte{0xdf, 0xff, 0xff, 0xff, 0xff, 0x01}, codec.ErrTruncated},
		"string of 4 G":       {[]byte{0xdb, 0xff, 0xff, 0xff, 0xff, 'a'}, codec.ErrTruncated},
		"half a float":        {[]byte{0xcb, 0x40}, codec.ErrTruncated},
		"half a map":          {[]byte{0x82, 0xa1, 'a', 0x01}, codec.ErrTruncated},
		"binary":              {[]byte{0xc4, 0x01, 0xff}, nil},
		"extension timestamp": {[]byte{0xd6, 0xff, 0, 0, 0, 0}, nil},
		"never used":          {[]byte{0xc1}, nil},
		"trailing":            {[]byte{0x01, 0x02}, nil},
		"integer key":         {[]byte{0x81, 0x01, 0x01}, nil},
		"nil key":             {[]byte{0x81, 0xc0, 0x01}, nil},
	} {
		var v any
		if err := codec.Decode(c.data, &v); err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: Decode error %v, want %v", name, err, c.want)
		}
		dst := []byte("kept")
		got, err := codec.ToJSON(dst, c.data)
		if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: ToJSON error %v, want %v", name, err, c.want)
		}
		if string(got) != "kept" {
			t.Errorf("%s: ToJSON left %q", name, got)
		}
	}
	for name, data := range map[string][]byte{
		"NaN":            {0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1},
		"-Inf":           {0xcb, 0xff, 0xf0, 0, 0, 0, 0, 0, 0},
		"NaN in 4 bytes": {0xca, 0x7f, 0xc0, 0, 0},
	} {
		if _, err := codec.ToJSON(nil, data); err == nil {
			t.Errorf("%s: ToJSON took it", name)
		}
	}
}

func TestDecodeRefusesTheWrongType(t *testing.T) {
	t.Parallel()
	data, err := codec.Encode(map[string]any{"name": 5})
	if err != nil {
		t.Fatal(err)
	}
	var got detail.Node
	if err := codec.Decode(data, &got); err == nil {
		t.Errorf("a number became the name %q", got.Name)
	}
}

// TestOddInput is what we never write and still answer, as documented at ToJSON.
func TestOddInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		want string
	}{
		"key twice":              {"\x82\xa1a\x01\xa1a\x02", `{"a":1,"a":2}`},
		"no UTF-8":               {"\xa3\xffa\xfe", `"\ufffda\ufffd"`},
		"no UTF-8 in a key":      {"\x81\xa1\xff\x01", `{"\ufffd":1}`},
		"half a surrogate":       {"\xa3\xed\xa0\x80", `"\ufffd\ufffd\ufffd"`},
		"float32":                {"\xca\x3d\xcc\xcc\xcd", `0.10000000149011612`},
		"-0":                     {"\xcb\x80\x00\x00\x00\x00\x00\x00\x00", `-0`},
		"integer beyond 2^53":    {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", `18446744073709551615`},
		"least integer":          {"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", `-9223372036854775808`},
		"small integer, 8 bytes": {"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", `-1`},
		"short string, 4 bytes":  {"\xdb\x00\x00\x00\x01a", `"a"`},
		"32 levels":              {strings.Repeat("\x91", 32) + "\xc0", strings.Repeat("[", 32) + "null" + strings.Repeat("]", 32)},
	} {
		got, err := codec.ToJSON(nil, []byte(c.data))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.want)
		}
	}
}

func TestToJSONAllocatesNothing(t *testing.T) {
	packed, err := codec.Encode(newValues().nodes(6))
	if err != nil {
		t.Fatal(err)
	}
	buf, err := codec.ToJSON(nil, packed)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { buf, err = codec.ToJSON(buf[:0], packed) }); n != 0 || err != nil {
		t.Errorf("%v allocations (%v)", n, err)
	}
}

// TestKeysThatAreNoUTF8 may become equal; a map says a key once all the same.
func TestKeysThatAreNoUTF8(t *testing.T) {
	t.Parallel()
	data, err := codec.Encode(map[string]int64{"\xff": 1, "\xfe": 2, "a": 3, "\U0001F600": 4})
	if err != nil {
		t.Fatal(err)
	}
	got, err := codec.ToJSON(nil, data)
	if want := `{"a":3,"�":1,"😀":4}`; err != nil || string(got) != want {
		t.Errorf("%s (%v), want %s", got, err, want)
	}
}
