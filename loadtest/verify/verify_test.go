package verify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/verify"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func world() fleet.World {
	return fleet.World{Cluster: "c1", Nodes: 2, Services: 2, ChangeEvery: 1, Items: 2, Interval: time.Second}
}

// value is the JSON of what c1 shows in a section.
func value(t *testing.T, w fleet.World, name model.Section, version int64) json.RawMessage {
	t.Helper()
	v, err := w.Value(name, version)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := codec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	text, err := codec.ToJSON(nil, packed)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each lie of a master is found out, and the truth is no lie.
func TestLiesAreFound(t *testing.T) {
	t.Parallel()
	section := model.SectionMetricsSummary
	good, older := value(t, world(), section, 1000), value(t, world(), section, 999)
	other := world()
	other.Cluster = "c2"
	now := func() string { return time.Now().UTC().Format(time.RFC3339Nano) }
	ok := func(data json.RawMessage, meta string) string {
		return fmt.Sprintf(`{"message":"ok","data":%s,"meta":{%s}}`, data, meta)
	}
	fresh := func(seq int) string { return fmt.Sprintf(`"clusterId":"c1","collectedAt":%q,"seq":%d`, now(), seq) }
	type reply struct {
		status int
		retry  bool
		body   func() string
	}
	for name, test := range map[string]struct {
		replies []reply
		wrong   string // in what is said; "" when nothing is wrong
	}{
		"the truth": {[]reply{{200, false, func() string { return ok(good, fresh(5)) }}}, ""},
		"newer":     {[]reply{{200, false, func() string { return ok(older, fresh(5)) }}, {200, false, func() string { return ok(good, fresh(6)) }}}, ""},
		"refused":   {[]reply{{503, true, func() string { return `{"error":"no","code":"agent_offline"}` }}}, ""},
		"old and says so": {[]reply{{200, false, func() string {
			return ok(good, `"clusterId":"c1","collectedAt":"2020-01-01T00:00:00Z","seq":5,"stale":true,"error":"why"`)
		}}}, ""},
		"old":             {[]reply{{200, false, func() string { return ok(good, `"clusterId":"c1","collectedAt":"2020-01-01T00:00:00Z","seq":5`) }}}, "does not say that it is stale"},
		"no reason":       {[]reply{{200, false, func() string { return ok(good, fresh(5)+`,"stale":true`) }}}, "without a reason"},
		"another cluster": {[]reply{{200, false, func() string { return ok(good, strings.Replace(fresh(5), "c1", "c2", 1)) }}}, `answered of "c2"`},
		"its data":        {[]reply{{200, false, func() string { return ok(value(t, other, section, 1000), fresh(5)) }}}, "differs"},
		"back in seq":     {[]reply{{200, false, func() string { return ok(good, fresh(5)) }}, {200, false, func() string { return ok(good, fresh(4)) }}}, "went back from seq 5"},
		"back in time":    {[]reply{{200, false, func() string { return ok(good, fresh(5)) }}, {200, false, func() string { return ok(older, fresh(6)) }}}, "went back from version"},
		"two of one seq":  {[]reply{{200, false, func() string { return ok(older, fresh(5)) }}, {200, false, func() string { return ok(good, fresh(5)) }}}, "two values"},
		"no JSON":         {[]reply{{200, false, func() string { return "<html>" }}}, "no JSON"},
		"no code":         {[]reply{{502, false, func() string { return `{"error":"no"}` }}}, "a refusal"},
		"an address":      {[]reply{{502, false, func() string { return `{"error":"dial 127.0.0.1:80","code":"agent_error"}` }}}, "tells an address"},
		"another":         {[]reply{{502, false, func() string { return `{"error":"dial db.example:9000","code":"agent_error"}` }}}, "tells an address"},
		"this machine":    {[]reply{{502, false, func() string { return `{"error":"dial [::1]:80","code":"agent_error"}` }}}, "tells an address"},
		"forgotten": {[]reply{{200, false, func() string { return ok(good, fresh(5)) }}, {404, false, func() string {
			return `{"error":"no cluster c1 was ever seen","code":"cluster_unknown"}`
		}}}, "said to be unknown"},
		"never shown": {[]reply{{404, false, func() string { return `{"error":"no cluster c1 was ever seen","code":"cluster_unknown"}` }}}, ""},
		"in a reason": {[]reply{{200, false, func() string {
			return ok(good, fresh(5)+`,"stale":true,"error":"dial localhost: refused"`)
		}}}, "tells an address"},
		"no Retry-After":    {[]reply{{503, false, func() string { return `{"error":"no","code":"agent_offline"}` }}}, "Retry-After"},
		"an internal error": {[]reply{{500, false, func() string { return `{"error":"internal error","code":"internal"}` }}}, "internal error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var turn atomic.Int64
			given := make(chan struct{}, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/metrics/summary") {
					w.WriteHeader(http.StatusNotFound)
					fmt.Fprint(w, `{"error":"not ready","code":"not_ready"}`)
					return
				}
				reply := test.replies[turn.Load()]
				select {
				case given <- struct{}{}:
				default:
				}
				if reply.retry {
					w.Header().Set("Retry-After", "1")
				}
				w.WriteHeader(reply.status)
				fmt.Fprint(w, reply.body())
			}))
			defer server.Close()
			v, err := verify.New(verify.Config{Masters: []string{server.URL}, Worlds: []verify.World{world()}, Dashboards: 200, Details: -1, Addresses: []string{"db.example:9000"}})
			if err != nil {
				t.Fatal(err)
			}
			for i := range test.replies {
				turn.Store(int64(i))
				ctx, stop := context.WithCancel(t.Context())
				go func() {
					defer stop()
					select {
					case <-given:
					case <-ctx.Done():
					}
				}()
				v.Run(ctx) // returns when what was said is in the book: what is said next is later
				select {
				case <-given: // a second time
				default:
				}
			}
			count, examples := v.Wrong()
			if test.wrong == "" && count != 0 || test.wrong != "" && (count == 0 || !strings.Contains(examples[0], test.wrong)) {
				t.Errorf("%d wrong: %q; want %q", count, examples, test.wrong)
			}
		})
	}
}
