package upgrade

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/codec/wiretest"
)

// question is a request whose answer can be judged.
type question struct {
	name string
	path string // and query
	body string // of a POST
	// by is the field of a list's elements that says who they are: none may be missing.
	// "" for what has the same answer whenever it is asked.
	by string
	// renamed says that who they are may be called otherwise for a moment; none may be
	// missing all the same.
	renamed bool
	// known is what the answer must hold: names, or, without by, data.
	known map[string]bool
	data  json.RawMessage
}

// answer is the body of a response.
type answer struct {
	status int
	Data   json.RawMessage `json:"data"`
	Meta   struct {
		Stale bool   `json:"stale"`
		Error string `json:"error"`
	} `json:"meta"`
	Code  string `json:"code"`
	Error string `json:"error"`
}

// deadline is the longest that a detail may wait: on a busy machine the engine is slow,
// and that is not what is tested.
const deadline = "30s"

// questions ask for the dashboards, lists of Kubernetes, and, of a time range that is
// over, every detail.
func questions(from, to time.Time) []*question {
	fixed := url.Values{"start_time": {from.Format(time.RFC3339)}, "end_time": {to.Format(time.RFC3339)}, "timeout": {deadline}}.Encode()
	body := fmt.Sprintf(`{"cluster_id":%q,"start_time":%q,"end_time":%q,"limit":20,"timeout":%q}`,
		cluster, from.Format(time.RFC3339), to.Format(time.RFC3339), deadline)
	return []*question{
		// An agent that starts may call nodes what their telemetry does until it has heard
		// of those of Kubernetes; those of releases up to 1235beb do not wait for it.
		{name: "nodes' metrics", path: "observe/metrics/nodes", by: "nodeName", renamed: true},
		{name: "services", path: "observe/traces/services", by: "name"},
		{name: "ingress", path: "observe/slo/ingress", by: "serviceKey"},
		{name: "mesh", path: "observe/slo/services", by: "name"},
		{name: "nodes", path: "nodes", by: "metadata.name"},
		{name: "deployments", path: "deployments", by: "metadata.name"},
		{name: "services' objects", path: "services", by: "metadata.name"},
		{name: "trace search", path: "observe/traces?sort=duration&limit=20&" + fixed},
		// Its quantiles are of a sample, which is another one each time.
		{name: "services over another range", path: "observe/traces/services?" + fixed, by: "name"},
		{name: "logs", path: "observe/logs/query", body: body},
		// With the names that the first answers bring:
		{name: "trace", path: "observe/traces/%trace?timeout=" + deadline},
		{name: "node's series", path: "observe/metrics/nodes/%node/series?metric=memory&" + fixed},
		{name: "SLO series", path: "observe/slo/timeseries?service=%ingress&" + fixed},
	}
}

// learn asks each question twice, notes what must be in later answers, and fills in the
// names that later questions need.
func (s *stack) learn(questions []*question) {
	s.t.Helper()
	names := make(map[string]string)
	for _, q := range questions {
		for from, to := range names {
			q.path = strings.ReplaceAll(q.path, from, url.QueryEscape(to))
		}
		var a answer
		s.until(q.name+" are there", func() bool {
			var err error
			if a, err = s.ask(s.t.Context(), 0, q); err != nil {
				s.t.Fatal(err)
			}
			return a.status == http.StatusOK && len(a.Data) > 20
		})
		q.data = a.Data
		if q.by != "" {
			q.known = who(s.t, a.Data, q.by)
		}
		switch q.name {
		case "nodes' metrics":
			names["%node"] = slices.Min(slices.Collect(maps.Keys(q.known)))
		case "ingress":
			names["%ingress"] = slices.Min(slices.Collect(maps.Keys(q.known)))
		case "trace search":
			names["%trace"] = slices.Min(slices.Collect(maps.Keys(who(s.t, a.Data, "traceId"))))
		}
	}
}

// who are the elements of a list, by a field.
func who(tb testing.TB, data []byte, by string) map[string]bool {
	tb.Helper()
	var list []map[string]any
	if err := json.Unmarshal(data, &list); err != nil {
		tb.Errorf("%.100s: %v", data, err)
		return nil
	}
	all := make(map[string]bool)
	for _, element := range list {
		value := any(element)
		for field := range strings.SplitSeq(by, ".") {
			inner, _ := value.(map[string]any)
			value = inner[field]
		}
		all[fmt.Sprint(value)] = true
	}
	return all
}

// ask sends a question to one of the masters.
func (s *stack) ask(ctx context.Context, n int, q *question) (answer, error) {
	s.mu.RLock()
	master := s.masters[n%len(s.masters)].url
	s.mu.RUnlock()
	if q.body != "" {
		return post(ctx, master+"/api/v2/"+q.path, q.body)
	}
	sep := "?"
	if strings.Contains(q.path, "?") {
		sep = "&"
	}
	return get(ctx, master+"/api/v2/"+q.path+sep+"cluster_id="+string(cluster))
}

func get(ctx context.Context, address string) (answer, error) {
	return send(ctx, http.MethodGet, address, "")
}

func post(ctx context.Context, address, body string) (answer, error) {
	return send(ctx, http.MethodPost, address, body)
}

func send(ctx context.Context, method, address, body string) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = cmp.Or(err, res.Body.Close()) }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	a.status = res.StatusCode
	if bytes.HasPrefix(text, []byte("{")) {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

// tally counts answers while two releases stand beside each other.
type tally struct {
	asked, stale atomic.Int64
	mu           sync.Mutex
	failed       []string // the contract has no reason for them here
	wrong        []string
}

func (t *tally) note(list *[]string, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*list = append(*list, fmt.Sprintf(format, args...))
}

// load asks all questions over and over until the returned function is called.
func (s *stack) load(questions []*question) (stop func() *tally) {
	s.t.Helper()
	t := new(tally)
	ctx, cancel := context.WithCancel(s.t.Context())
	var asking sync.WaitGroup
	for worker := range 2 {
		asking.Go(func() {
			ticker := time.NewTicker(100 * time.Millisecond)
			defer ticker.Stop()
			for n := worker; ctx.Err() == nil; n++ {
				s.judge(t, n, questions[n%len(questions)])
				select {
				case <-ticker.C:
				case <-ctx.Done():
				}
			}
		})
	}
	return func() *tally {
		cancel()
		asking.Wait()
		return t
	}
}

func (s *stack) judge(t *tally, n int, q *question) {
	a, err := s.ask(context.WithoutCancel(s.t.Context()), n, q) // what was asked is answered
	t.asked.Add(1)
	switch {
	case err != nil:
		t.note(&t.failed, "%s: %v", q.name, err)
		return
	case a.status != http.StatusOK:
		t.note(&t.failed, "%s: %d %s: %s", q.name, a.status, a.Code, a.Error)
		return
	case a.Meta.Stale:
		t.stale.Add(1)
	}
	r := &findings{TB: s.t}
	if q.by == "" {
		wiretest.Kept(r, encoded(r, q.data), encoded(r, a.Data))
	} else {
		q.compare(r, who(r, a.Data, q.by))
	}
	if len(r.all) > 0 {
		t.note(&t.wrong, "%s: %s", q.name, strings.Join(r.all, "; "))
	}
}

// compare looks for those that are known.
func (q *question) compare(tb testing.TB, there map[string]bool) {
	tb.Helper()
	if q.renamed && len(there) >= len(q.known) {
		return
	}
	for name := range q.known {
		if !there[name] {
			tb.Errorf("%s is missing", name)
		}
	}
}

// findings are what a check says, which is counted instead of failing at once.
type findings struct {
	testing.TB
	all []string
}

// Errorf notes it.
func (f *findings) Errorf(format string, args ...any) {
	f.all = append(f.all, fmt.Sprintf(format, args...))
}

// encoded is JSON in the form that wiretest compares.
func encoded(tb testing.TB, data json.RawMessage) []byte {
	tb.Helper()
	var v any
	err := json.Unmarshal(data, &v)
	if err == nil {
		data, err = codec.Encode(v)
	}
	if err != nil {
		tb.Errorf("%v", err)
	}
	return data
}
