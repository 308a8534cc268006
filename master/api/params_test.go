package api

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// now has a fraction, to see it cut.
func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 700_000_000, time.UTC) }

func parserAPI() *API {
	return &API{cfg: Config{Now: func(key.Cluster) time.Time { return now() }, MaxRange: detail.MaxRange, Timeout: DefaultTimeout, MaxTimeout: DefaultMaxTimeout}}
}

func until(end time.Time, length time.Duration) detail.Range {
	return detail.NewRange(end.Add(-length), end)
}

func TestTimeRange(t *testing.T) {
	t.Parallel()
	end := now().Truncate(time.Second)
	for _, c := range []struct {
		text    rangeText
		want    timeRange
		wantErr string
	}{
		{rangeText{}, timeRange{until(end, time.Hour), false, true}, ""},
		{rangeText{duration: "15m"}, timeRange{until(end, 15*time.Minute), true, true}, ""},
		{rangeText{duration: "30d"}, timeRange{until(end, detail.MaxRange), true, true}, ""},
		{
			rangeText{start: "2026-03-01T10:00:00+01:00", end: "2026-03-01T11:30:00.5Z"},
			timeRange{until(time.Date(2026, 3, 1, 11, 30, 0, 5e8, time.UTC), 2*time.Hour+30*time.Minute+500*time.Millisecond), true, false}, "",
		},
		{rangeText{duration: "31d"}, timeRange{}, "time_range: 31d is not between 1s and 30d"},
		{rangeText{duration: "999ms"}, timeRange{}, "time_range: 999ms is not between 1s and 30d"},
		{rangeText{duration: "15"}, timeRange{}, `time_range: "15" is no duration such as 15m, 6h, 1h30m or 7d`},
		{rangeText{duration: "1h", start: "x"}, timeRange{}, "time_range: cannot be given together with start_time and end_time"},
		{rangeText{start: "2026-03-01T10:00:00Z"}, timeRange{}, "start_time, end_time: give both or neither"},
		{rangeText{end: "2026-03-01T10:00:00Z"}, timeRange{}, "start_time, end_time: give both or neither"},
		{rangeText{start: "yesterday", end: "2026-03-01T10:00:00Z"}, timeRange{}, `start_time: "yesterday" is no RFC 3339 time such as 2026-01-02T15:04:05Z`},
		{rangeText{start: "2026-03-01T10:00:00Z", end: "1772359200"}, timeRange{}, `end_time: "1772359200" is no RFC 3339 time such as 2026-01-02T15:04:05Z`},
		{rangeText{start: "2026-03-01T10:00:00Z", end: "2026-03-01T10:00:00.0004Z"}, timeRange{}, "start_time, end_time: end_time must be after start_time"},
		{rangeText{start: "2026-03-01T10:00:00Z", end: "2026-03-01T09:00:00Z"}, timeRange{}, "start_time, end_time: end_time must be after start_time"},
		{rangeText{start: "2026-01-01T00:00:00Z", end: "2026-03-01T00:00:00Z"}, timeRange{}, "start_time, end_time: 59d is more than 30d"},
		{rangeText{start: "0000-01-01T00:00:00Z", end: "9999-01-01T00:00:00Z"}, timeRange{}, "start_time, end_time: "},
	} {
		c.text.name = "time_range"
		got, err := c.text.resolve(now(), detail.MaxRange, 0)
		switch {
		case c.wantErr != "":
			if err == nil || !strings.HasPrefix(err.Error(), c.wantErr) {
				t.Errorf("%+v: error %v, want %q", c.text, err, c.wantErr)
			}
		case err != nil:
			t.Errorf("%+v: %v", c.text, err)
		case got != c.want:
			t.Errorf("%+v: got %+v, want %+v", c.text, got, c.want)
		}
	}
}

// Whoever asks for the same within the time that a result is shared asks the same.
func TestRelativeRangesEndOnTheGrid(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 7, 700_000_000, time.UTC)
	for grid, want := range map[time.Duration]int{0: 7, 5 * time.Second: 5, 10 * time.Second: 0, 30 * time.Second: 0} {
		got, err := rangeText{name: "time_range", duration: "15m"}.resolve(at, detail.MaxRange, grid)
		end := time.Date(2026, 3, 1, 12, 0, want, 0, time.UTC)
		if err != nil || got.Range != until(end, 15*time.Minute) {
			t.Errorf("grid %s: %+v, %v; want the end %s", grid, got, err, end)
		}
		absolute := rangeText{name: "time_range", start: "2026-03-01T11:59:58.5Z", end: "2026-03-01T12:00:07.25Z"}
		got, err = absolute.resolve(at, detail.MaxRange, grid)
		if err != nil || got.End != at.Add(-450*time.Millisecond).UnixMilli() {
			t.Errorf("grid %s: both ends given: %+v, %v", grid, got, err)
		}
	}
}

// parse runs the parser of a detail endpoint as the handler does.
func parse(t *testing.T, route, query, body string) (detail.Request, *params, error) {
	t.Helper()
	for _, d := range detailRoutes() {
		if d.path != route {
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), d.method, "/?"+query, strings.NewReader(body))
		r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, MaxBody)
		return parseRequest(parserAPI(), d, r)
	}
	t.Fatalf("there is no route %s", route)
	return nil, nil, nil
}

func parseRequest(a *API, d detailRoute, r *http.Request) (detail.Request, *params, error) {
	p := a.detailParams(&exchange{caller: access.Anyone(), endpoint: &endpoint{}}, r, d.kind)
	if d.method == http.MethodGet {
		p.readCluster()
	}
	p.readTimeout()
	request := d.parse(p)
	if err := p.finish(); err != nil {
		return nil, nil, err
	}
	return request, p, nil
}

func TestParseTraces(t *testing.T) {
	t.Parallel()
	end := now().Truncate(time.Second)
	base := detail.Traces{Range: until(end, time.Hour), Sort: detail.SortTime, Limit: 50}
	for query, want := range map[string]func(*detail.Traces){
		"":                      func(*detail.Traces) {},
		"service=&status_code=": func(*detail.Traces) {},
		"service=cart&operation=GET+/a%20b&method=post&status_code=503": func(r *detail.Traces) {
			r.Service, r.Operation, r.Method, r.StatusCode = "cart", "GET /a b", "POST", "503"
		},
		"min_duration=1.5&max_duration=200": func(r *detail.Traces) { r.MinDurationMs, r.MaxDurationMs = 1.5, 200 },
		"has_error=true":                    func(r *detail.Traces) { r.HasError = new(true) },
		"has_error=0":                       func(r *detail.Traces) { r.HasError = new(false) },
		"limit=1000&offset=20&sort=duration": func(r *detail.Traces) {
			r.Limit, r.Offset, r.Sort = 1000, 20, detail.SortDuration
		},
		"cursor=abc&time_range=1w": func(r *detail.Traces) { r.Cursor, r.Range = "abc", until(end, 7*24*time.Hour) },
	} {
		want0 := base
		want(&want0)
		got, p, err := parse(t, "/observe/traces", "cluster_id=prod-1&timeout=20s&"+query, "")
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if diff := cmp.Diff(detail.Request(want0), got); diff != "" {
			t.Errorf("%s: -want +got\n%s", query, diff)
		}
		if p.cluster != "prod-1" || p.timeout != 20*time.Second {
			t.Errorf("%s: cluster %q, timeout %s", query, p.cluster, p.timeout)
		}
	}
}

func TestParametersAreRefused(t *testing.T) {
	t.Parallel()
	const (
		traces = "/observe/traces"
		series = "/observe/metrics/nodes/{name}/series"
		slo    = "/observe/slo/timeseries"
	)
	for _, c := range []struct{ route, query, want string }{
		{traces, "", "cluster_id: is required"},
		{traces, "cluster_id=Prod", "cluster_id: may hold only"},
		{traces, "cluster_id=a&cluster_id=b", "cluster_id: is given 2 times"},
		{traces, "cluster_id=a&servce=x", `"servce": is no parameter of this endpoint; there are cluster_id, timeout, time_range`},
		{traces, "clusterid=a", `"clusterid": is no parameter`},
		{traces, "cluster_id=a&limit=0", `limit: "0" is no whole number between 1 and 1000`},
		{traces, "cluster_id=a&limit=1001", `limit: "1001"`},
		{traces, "cluster_id=a&limit=5x", `limit: "5x"`},
		{traces, "cluster_id=a&limit=1&limit=2", "limit: is given 2 times"},
		{traces, "cluster_id=a&offset=-1", `offset: "-1"`},
		{traces, "cluster_id=a&offset=99999999999999999999", `offset: "99999999999999999999"`},
		{traces, "cluster_id=a&min_duration=NaN", `min_duration: "NaN" is no number of milliseconds`},
		{traces, "cluster_id=a&max_duration=-1", `max_duration: "-1"`},
		{traces, "cluster_id=a&max_duration=Inf", `max_duration: "Inf"`},
		{traces, "cluster_id=a&min_duration=10&max_duration=5", "max_duration: 5 is less than min_duration, 10"},
		{traces, "cluster_id=a&has_error=yes", `has_error: "yes" is neither true nor false`},
		{traces, "cluster_id=a&status_code=99", `status_code: "99" is no HTTP status code`},
		{traces, "cluster_id=a&status_code=600", `status_code: "600"`},
		{traces, "cluster_id=a&status_code=OK!", `status_code: "OK!"`},
		{traces, "cluster_id=a&method=GET%20", `method: "GET " is no HTTP method`},
		{traces, "cluster_id=a&timeout=31s", "timeout: 31s is not between 100ms and 30s"},
		{traces, "cluster_id=a&timeout=1ms", "timeout: 1ms is not between 100ms and 30s"},
		{traces, "cluster_id=a&timeout=soon", `timeout: "soon" is no duration`},
		{traces, "cluster_id=a&time_range=1h&start_time=2026-03-01T10:00:00Z", "time_range: cannot be given together"},
		{traces, "cluster_id=a;b", "query string: is malformed"},
		{traces, "cluster_id=%zz", "query string: is malformed"},
		{series, "cluster_id=a&metric=cpu&minutes=60&time_range=1h", "minutes: cannot be given together with time_range"},
		{series, "cluster_id=a&metric=cpu&minutes=60&start_time=2026-03-01T10:00:00Z", "minutes: cannot be given together with start_time"},
		{series, "cluster_id=a&metric=cpu&minutes=43201", `minutes: "43201" is no whole number between 1 and 43200`},
		{series, "cluster_id=a&metric=cpu&step=1.5", `step: "1.5" is no duration in whole seconds`},
		{slo, "cluster_id=a&service=x&interval=-1m", `interval: "-1m"`},
	} {
		_, _, err := parse(t, c.route, c.query, "")
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.BadRequest || !strings.HasPrefix(f.Message, c.want) {
			t.Errorf("%s?%s: %v, want bad_request %q", c.route, c.query, err, c.want)
		}
	}
}

func TestParseSeries(t *testing.T) {
	t.Parallel()
	end := now().Truncate(time.Second)
	got, _, err := parse(t, "/observe/metrics/nodes/{name}/series", "cluster_id=a&metric=cpu&minutes=90&step=30s", "")
	if err != nil {
		t.Fatal(err)
	}
	want := detail.NodeSeries{Metric: "cpu", Range: until(end, 90*time.Minute), StepSeconds: 30}
	if diff := cmp.Diff(detail.Request(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	got, _, err = parse(t, "/observe/slo/timeseries", "cluster_id=a&service=shop/cart&interval=60", "")
	if err != nil {
		t.Fatal(err)
	}
	wantSLO := detail.SLOSeries{Service: "shop/cart", Range: until(end, time.Hour), IntervalSeconds: 60}
	if diff := cmp.Diff(detail.Request(wantSLO), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestParseLogs(t *testing.T) {
	t.Parallel()
	end := now().Truncate(time.Second)
	id := strings.Repeat("AB", 16)
	for body, want := range map[string]detail.Logs{
		`{"cluster_id":"a"}`: {Range: until(end, time.Hour), Limit: 50},
		`{"cluster_id":"a","query":"100%_\"","service":"s","level":"warn","scope":"x","limit":500,"offset":7,"since":"2d"}`: {
			Range: until(end, 48*time.Hour), Query: `100%_"`, Service: "s", Level: "WARN", Scope: "x", Limit: 500, Offset: 7,
		},
		`{"cluster_id":"a","trace_id":"` + id + `","span_id":"00FF00FF00FF00FF","cursor":"c","query":null}`: {
			Range: until(end, time.Hour), TraceID: strings.ToLower(id), SpanID: "00ff00ff00ff00ff", Cursor: "c", Limit: 50,
		},
		` {"cluster_id":"a","start_time":"2026-03-01T10:00:00Z","end_time":"2026-03-01T11:00:00Z"} ` + "\n": {
			Range: until(time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC), time.Hour), Limit: 50,
		},
	} {
		got, p, err := parse(t, "/observe/logs/query", "", body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(detail.Request(want), got); diff != "" || p.cluster != "a" {
			t.Errorf("%s: cluster %q, -want +got\n%s", body, p.cluster, diff)
		}
	}
	for _, c := range []struct{ query, body string }{{"timeout=7s", `{"cluster_id":"a"}`}, {"", `{"cluster_id":"a","timeout":"7"}`}} {
		if _, p, err := parse(t, "/observe/logs/query", c.query, c.body); err != nil || p.timeout != 7*time.Second {
			t.Errorf("%+v: %+v, %v; want a timeout of 7s", c, p, err)
		}
	}
}

func TestLogBodiesAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, body, want string }{
		{"", ``, "body: must be a JSON object"},
		{"", `[]`, "body: must be a JSON object"},
		{"", `"x"`, "body: must be a JSON object"},
		{"", `{}`, "cluster_id: is required"},
		{"", `{"cluster_id":"a","colour":"x"}`, `body: "colour" is no field`},
		{"", `{"cluster_id":"a","Service":"x"}`, `body: "Service" is no field`},
		{"", `{"cluster_id":"a","cluster_id":"b"}`, "cluster_id: is given twice"},
		{"", `{"cluster_id":"a"} {}`, "body: something follows"},
		{"", `{"cluster_id":"a"}x`, "body: something follows"},
		{"", `{"cluster_id":"a"`, "body: is no valid JSON after byte 17"},
		{"", `{"cluster_id":"a",}`, "body: is no valid JSON"},
		{"", `{"cluster_id":a}`, "body: is no valid JSON"},
		{"", `{"cluster_id":1}`, "cluster_id: must be a string"},
		{"", `{"cluster_id":"a","limit":"5"}`, "limit: must be a whole number"},
		{"", `{"cluster_id":"a","limit":5.5}`, "limit: must be a whole number"},
		{"", `{"cluster_id":"a","limit":99999999999999999999}`, "limit: must be a whole number"},
		{"", `{"cluster_id":"a","query":{"a":1}}`, "query: must be a string"},
		{"", `{"cluster_id":"a","since":"-1h"}`, `since: "-1h" is no duration`},
		{"", `{"cluster_id":"a","since":"1h","end_time":"2026-03-01T10:00:00Z"}`, "since: cannot be given together"},
		{"", `{"cluster_id":"a","query":"` + strings.Repeat("x", MaxBody) + `"}`, "body: is larger than 65536 bytes"},
		{"timeout=1s", `{"cluster_id":"a","timeout":"1s"}`, "timeout: is given both"},
		{"cluster_id=a", `{"cluster_id":"a"}`, `"cluster_id": is no parameter of this endpoint; there are timeout`},
	} {
		_, _, err := parse(t, "/observe/logs/query", c.query, c.body)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.BadRequest || !strings.HasPrefix(f.Message, c.want) {
			t.Errorf("%.60s: %v, want bad_request %q", c.body, err, c.want)
		}
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	for header, good := range map[string]bool{
		"": true, "application/json": true, "application/json; charset=utf-8": true, "APPLICATION/JSON": true,
		"text/plain": false, "application/x-www-form-urlencoded": true, "multipart/form-data; boundary=x": false, "application/json;": true, "/": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{}`))
		r.Header.Set("Content-Type", header)
		err := readBody(r, map[string]any{})
		if good != (err == nil) || !good && !strings.HasPrefix(err.Error(), "Content-Type: ") {
			t.Errorf("%q: %v, want accepted: %v", header, err, good)
		}
	}
}

// Whatever is sent, a parser returns a request or bad_request, and what Validate
// accepts can be sent on.
func checkParsed(t *testing.T, a *API, d detailRoute, r *http.Request) {
	t.Helper()
	request, p, err := parseRequest(a, d, r)
	if err != nil {
		if !fault.Is(err, fault.BadRequest) {
			t.Fatalf("%v, want bad_request", err)
		}
		return
	}
	if p.cluster == "" || p.timeout < minTimeout || p.timeout > DefaultMaxTimeout {
		t.Fatalf("cluster %q, timeout %s", p.cluster, p.timeout)
	}
	if err := request.Validate(); err != nil && !strings.Contains(err.Error(), ": ") {
		t.Fatalf("%v names no parameter", err)
	}
}

func FuzzLogsBody(f *testing.F) {
	f.Add([]byte(`{"cluster_id":"a","limit":5,"since":"1h","level":"info"}`))
	f.Add([]byte(`{"cluster_id":"a","start_time":"2026-03-01T10:00:00Z","end_time":"2026-03-01T11:00:00+02:00"}`))
	f.Add([]byte(`{"cluster_id":null}`))
	f.Add([]byte("{\"cluster_id\":\"\xff\"}"))
	f.Add(bytes.Repeat([]byte(`{"query":`), 20_000))
	a := parserAPI()
	d := detailRoutes()[4]
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Body = http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(bytes.NewReader(body)), MaxBody)
		checkParsed(t, a, d, r)
	})
}

func FuzzQuery(f *testing.F) {
	f.Add("cluster_id=a&limit=5&time_range=1h&has_error=true&min_duration=1e3")
	f.Add("cluster_id=a&start_time=2026-03-01T10:00:00Z&end_time=2026-03-01T11:00:00%2B02:00")
	f.Add("cluster_id=a&minutes=5&metric=cpu&step=1m")
	f.Add("%zz;a&&&=&cluster_id")
	a := parserAPI()
	f.Fuzz(func(t *testing.T, query string) {
		for _, d := range detailRoutes() {
			if d.method == http.MethodGet {
				checkParsed(t, a, d, &http.Request{URL: &url.URL{Path: "/", RawQuery: query}})
			}
		}
	})
}

// An id is read as what it was written from, or not at all.
func FuzzEventID(f *testing.F) {
	f.Add("1.0.1772359200123", 3)
	f.Add("9223372036854775807", 1)
	f.Add("1..3", 3)
	f.Add("+1.2", 2)
	f.Fuzz(func(t *testing.T, id string, n int) {
		n = 1 + int(uint(n)%9)
		seqs := parseEventID(id, n)
		if seqs == nil {
			return
		}
		all := make([]shown, len(seqs))
		for i, seq := range seqs {
			all[i].seq = seq
		}
		if len(seqs) != n || eventID(all) != id {
			t.Fatalf("%q of %d sections is read as %v", id, n, seqs)
		}
	})
}
