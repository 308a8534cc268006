package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const prefix = "/api/v2/observe/"

// answer is what came back.
type answer struct {
	code        string // OK, Stale, …, or the code of a refusal
	sentence    string // of a refusal
	began       time.Time
	took        time.Duration
	data        json.RawMessage
	collectedAt time.Time
	seq         int64
	forgotten   bool  // a cluster that was shown before is said to be unknown
	wrong       error // what no master may say
}

// body is an answer of the API, of either kind.
type body struct {
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
	Meta    struct {
		ClusterID   string     `json:"clusterId"`
		CollectedAt model.Time `json:"collectedAt"`
		Seq         int64      `json:"seq"`
		Stale       bool       `json:"stale"`
		Error       string     `json:"error"`
	} `json:"meta"`
	Error string `json:"error"`
	Code  string `json:"code"`
}

// dashboard sends the nth request for a dashboard.
func (v *Verifier) dashboard(ctx context.Context, n int, phase *Phase) {
	sections := fleet.Sections()
	m := n % len(v.cfg.Masters)
	w := n / len(v.cfg.Masters) % len(v.cfg.Worlds)
	s := n / len(v.cfg.Masters) / len(v.cfg.Worlds) % len(sections)
	phase.note(&phase.dashboards, v.section(ctx, v.cfg.Masters[m], v.cfg.Worlds[w], sections[s]))
}

// section asks one replica for one section and checks the answer.
func (v *Verifier) section(ctx context.Context, master string, world World, name model.Section) answer {
	at := place{master, world.Name(), name}
	before := v.history.seen(at)
	target := prefix + path(name) + "?cluster_id=" + world.Name()
	a := v.do(ctx, world.Name(), http.MethodGet, master+target, "")
	if a.wrong != nil || a.data == nil {
		return a
	}
	version, err := world.CheckSection(name, a.data)
	if err == nil {
		err = v.history.add(at, before, state{a.seq, version}, v.cfg.ClockSteps)
	}
	if err == nil && !v.cfg.ClockSteps && a.code == OK {
		err = v.fresh(a, world)
	}
	a.wrong = err
	return a
}

// slack is for the two clocks that an age is taken on, and for roundings.
const slack = time.Second

// fresh tells whether an answer that does not say that it is stale may say so: it
// was older when it was given than when it was asked for.
func (v *Verifier) fresh(a answer, world World) error {
	if age := a.began.Sub(a.collectedAt); age > 3*world.Period()+slack {
		return fmt.Errorf("%w: it is %s old and does not say that it is stale", fleet.ErrWrong, age)
	}
	return nil
}

// path is where the API shows a section.
func path(name model.Section) string {
	if name == model.SectionOverview {
		return "overview"
	}
	return strings.ReplaceAll(string(name), ".", "/")
}

// next makes a detail request that nobody made before.
func (v *Verifier) next(world World) detail.Request { return world.Detail(v.asked.Add(1)) }

// detail sends the nth detail request; the masters take turns, then the clusters.
func (v *Verifier) detail(ctx context.Context, n int, phase *Phase) {
	master := v.cfg.Masters[n%len(v.cfg.Masters)]
	world := v.cfg.Worlds[n/len(v.cfg.Masters)%len(v.cfg.Worlds)]
	if n%100 >= v.cfg.HangUp {
		phase.note(&phase.details, v.ask(ctx, master, world, v.next(world), v.cfg.Timeout))
		return
	}
	leaving, leave := context.WithTimeout(ctx, hangUpAfter)
	defer leave()
	a := v.ask(leaving, master, world, v.next(world), v.cfg.Timeout)
	if leaving.Err() != nil && a.data == nil {
		a.code, a.wrong = HungUp, nil
	}
	phase.note(&phase.details, a)
}

// hangUpAfter is less than a query takes and enough to send the command.
const hangUpAfter = 10 * time.Millisecond

// ask asks one replica for a detail and checks the answer.
func (v *Verifier) ask(ctx context.Context, master string, world World, request detail.Request, timeout time.Duration) answer {
	query := url.Values{"cluster_id": {world.Name()}, "timeout": {timeout.String()}}
	method, target, text := http.MethodGet, "", ""
	switch r := request.(type) {
	case detail.Trace:
		target = "traces/" + r.TraceID
	case detail.Node:
		target = "metrics/nodes/" + r.Name
	case detail.Logs:
		method, target = http.MethodPost, "logs/query"
		text = fmt.Sprintf(`{"cluster_id":%q,"query":%q,"limit":%d,"start_time":%q,"end_time":%q}`, world.Name(), r.Query, r.Limit,
			r.Range.StartTime().Format(time.RFC3339), r.Range.EndTime().Format(time.RFC3339))
		query.Del("cluster_id")
	}
	a := v.do(ctx, world.Name(), method, master+prefix+target+"?"+query.Encode(), text)
	if a.wrong == nil && a.data != nil {
		a.wrong = world.CheckAnswer(request, a.data)
	}
	return a
}

// do sends a request and reads what every answer must have.
func (v *Verifier) do(ctx context.Context, cluster, method, target, text string) (a answer) {
	known := v.history.wasShown(cluster)
	a.began = time.Now()
	defer func() { a.took = time.Since(a.began) }()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(text))
	if err != nil {
		a.code, a.wrong = Unreachable, err
		return a
	}
	if text != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := v.client.Do(req)
	if err != nil {
		return a.failed(err)
	}
	content, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return a.failed(err)
	}
	var b body
	if err := json.Unmarshal(content, &b); err != nil {
		a.code, a.wrong = Unreachable, fmt.Errorf("%w: status %d with a body that is no JSON: %w in %.200s", fleet.ErrWrong, res.StatusCode, err, content)
		return a
	}
	if res.StatusCode == http.StatusOK {
		a = a.accepted(cluster, b)
		v.history.shown(cluster)
	} else {
		a = a.refused(res, b)
		a.forgotten = known && a.code == string(fault.ClusterUnknown)
	}
	if a.wrong == nil && a.forgotten {
		a.wrong = fmt.Errorf("%w: %s was shown before and is said to be unknown", fleet.ErrWrong, cluster)
	}
	if a.wrong == nil {
		a.wrong = v.discreet(content)
	}
	return a
}

// discreet tells whether an answer, data and all, keeps to itself where things run.
func (v *Verifier) discreet(content []byte) error {
	for _, address := range v.addresses {
		if at := bytes.Index(content, []byte(address)); at >= 0 {
			return fmt.Errorf("%w: it tells an address, %s, after %q", fleet.ErrWrong, address, content[max(at-100, 0):at])
		}
	}
	return nil
}

// failed is a request without an answer.
func (a answer) failed(err error) answer {
	a.code, a.sentence = Unreachable, err.Error()
	if os.IsTimeout(err) {
		a.code = NoAnswer
		a.wrong = fmt.Errorf("%w: no answer for %s", fleet.ErrWrong, patience)
	}
	return a
}

// refused reads a refusal: it must say what it is.
func (a answer) refused(res *http.Response, b body) answer {
	a.code, a.sentence = b.Code, b.Error
	retry := res.Header.Get("Retry-After") != ""
	switch {
	case b.Code == "" || b.Error == "":
		a.wrong = fmt.Errorf("%w: a refusal with status %d says %q, %q", fleet.ErrWrong, res.StatusCode, b.Code, b.Error)
	case b.Code == string(fault.Internal):
		a.wrong = fmt.Errorf("%w: an internal error: %q", fleet.ErrWrong, b.Error)
	case retry != (res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusTooManyRequests):
		a.wrong = fmt.Errorf("%w: status %d, Retry-After %q", fleet.ErrWrong, res.StatusCode, res.Header.Get("Retry-After"))
	}
	return a
}

// accepted reads a success.
func (a answer) accepted(cluster string, b body) answer {
	a.code, a.data, a.seq = OK, b.Data, b.Meta.Seq
	if b.Meta.Stale {
		a.code, a.sentence = Stale, b.Meta.Error
	}
	at, err := b.Meta.CollectedAt.Parse()
	a.collectedAt = at
	switch {
	case err != nil || at.IsZero():
		a.wrong = fmt.Errorf("%w: collectedAt is %q", fleet.ErrWrong, b.Meta.CollectedAt)
	case b.Meta.ClusterID != cluster:
		a.wrong = fmt.Errorf("%w: asked of %s, answered of %q", fleet.ErrWrong, cluster, b.Meta.ClusterID)
	case b.Meta.Stale && b.Meta.Error == "":
		a.wrong = fmt.Errorf("%w: stale without a reason", fleet.ErrWrong)
	}
	return a
}
