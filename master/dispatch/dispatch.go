// Package dispatch sends detail requests to the agents of a cluster over the
// command bus and turns their replies into ready response bodies.
package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/flight"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
	"github.com/atlhyper/observe/shared/span"
)

// Bus is what a Dispatcher needs of bus.Client.
type Bus interface {
	Do(context.Context, key.Cluster, bus.Request) (bus.Reply, error)
}

// Config is what a Dispatcher needs.
type Config struct {
	// Bus carries the commands. Required.
	Bus Bus
	// Now is the clock of the Redis server that holds the cluster. Required.
	Now func(key.Cluster) time.Time
	// MaxJoined bounds the requests that wait for the reply to an identical one and
	// so do not reach the bus, which bounds the others. 0 means 8,000.
	MaxJoined int
	// Metrics gets how many they are. nil means none.
	Metrics prometheus.Registerer
}

// defaultMaxJoined is more than browsers that look at the same thing, and bounds the
// memory of those that wait.
const defaultMaxJoined = 8000

// Dispatcher runs detail requests. Identical concurrent ones run once.
type Dispatcher struct {
	bus     Bus
	now     func(key.Cluster) time.Time
	flights flight.Group[requestKey, answer]
	full    atomic.Int64 // refused: MaxJoined wait already
}

// requestKey tells identical requests: the encoding of params is deterministic.
type requestKey struct {
	cluster key.Cluster
	kind    detail.Kind
	params  string
}

// Request is a detail request for a cluster.
type Request struct {
	Cluster key.Cluster
	Detail  detail.Request
	// Timeout is how long the caller waits; it must be positive.
	Timeout time.Duration
}

// answer is the body for a request, and the span of whoever asked first, for those that
// joined.
type answer struct {
	body []byte
	of   trace.SpanContext
}

// New returns a Dispatcher.
func New(cfg Config) (*Dispatcher, error) {
	switch {
	case cfg.Bus == nil:
		return nil, errors.New("dispatch: Bus: is required")
	case cfg.Now == nil:
		return nil, errors.New("dispatch: Now: is required")
	case cfg.MaxJoined < 0:
		return nil, fmt.Errorf("dispatch: MaxJoined: %d is negative", cfg.MaxJoined)
	}
	d := &Dispatcher{bus: cfg.Bus, now: cfg.Now}
	d.flights.MaxJoined = cmp.Or(cfg.MaxJoined, defaultMaxJoined)
	err := metric.Register(cfg.Metrics, []metric.Row{
		{Name: "master_requests_joined", Help: "Detail requests that wait for the reply to an identical one.", Gauge: func() float64 { return float64(d.flights.Joined()) }},
		{Name: "master_requests_joined_full_total", Help: "Detail requests refused because too many waited for the replies to identical ones.", Counter: &d.full},
	})
	if err != nil {
		return nil, fmt.Errorf("dispatch: %w", err)
	}
	return d, nil
}

// Do returns the whole JSON body for a request, shared by identical requests:
// not to be changed. Errors are *fault.Error (bad_request before anything is
// sent, then those of bus.Client.Do, queue_full also when too many
// joined, the agent's own, and agent_error for a
// reply that is no valid data) or ctx.Err() when the caller left.
func (d *Dispatcher) Do(ctx context.Context, req Request) ([]byte, error) {
	if err := req.Detail.Validate(); err != nil {
		return nil, fault.New(fault.BadRequest, "%s", err)
	}
	params, err := codec.Encode(req.Detail)
	if err != nil {
		return nil, fmt.Errorf("dispatch %s: encode: %w", req.Detail.Kind(), err)
	}
	waiting, cancel := context.WithTimeout(ctx, req.Timeout)
	defer cancel()
	for {
		got, shared, err := d.flights.Do(waiting, requestKey{req.Cluster, req.Detail.Kind(), string(params)},
			func(ctx context.Context) (answer, error) {
				body, err := d.run(ctx, req, params)
				return answer{body, trace.SpanContextFromContext(ctx)}, err
			})
		if errors.Is(err, flight.ErrFull) {
			d.full.Add(1)
			return nil, fault.New(fault.QueueFull, "%d requests wait on this replica for replies to identical ones already", d.flights.MaxJoined).After(time.Second)
		}
		// A joined call may have had less time than we have: ask again.
		if shared && fault.Is(err, fault.Timeout) && waiting.Err() == nil {
			continue
		}
		if shared {
			span.Join(ctx, got.of) // without an answer it is not known whose it was
		}
		if err != nil && ctx.Err() == nil && waiting.Err() != nil && errors.Is(err, waiting.Err()) {
			err = fault.New(fault.Timeout, "cluster %s did not answer within %s", req.Cluster, req.Timeout)
		}
		return got.body, err
	}
}

// run sends the command and builds the body of its reply.
func (d *Dispatcher) run(ctx context.Context, req Request, params codec.Raw) ([]byte, error) {
	reply, err := d.bus.Do(ctx, req.Cluster, bus.Request{
		Kind:    req.Detail.Kind(),
		Params:  params,
		Timeout: req.Timeout,
	})
	if err != nil {
		return nil, refusal(err)
	}
	if !(reply.TookMs >= 0 && reply.TookMs <= math.MaxInt32) || len(reply.Meta.NextCursor) > detail.MaxCursor {
		return nil, fault.New(fault.AgentError, "the agent of cluster %s sent a malformed reply", req.Cluster)
	}
	body, err := envelope.FromMsgpack(reply.Data, envelope.Meta{
		ClusterID:     string(req.Cluster),
		CollectedAt:   model.NewTime(d.collectedAt(req.Cluster, reply)),
		WindowSeconds: reply.Meta.WindowSeconds,
		Detail: &envelope.Detail{
			TookMs:     reply.TookMs,
			Agent:      envelope.Clip(reply.Agent),
			NextCursor: reply.Meta.NextCursor,
			Truncated:  reply.Meta.Truncated,
			Shared:     reply.Shared,
		},
	})
	if err != nil {
		return nil, fault.Wrap(err, fault.AgentError, "the agent of cluster %s sent a reply that is not readable", req.Cluster)
	}
	return body, nil
}

// collectedAt is when the agent ran the request, on the clock of the cluster's server,
// unless it says nothing credible: now.
func (d *Dispatcher) collectedAt(cluster key.Cluster, reply bus.Reply) time.Time {
	now := d.now(cluster)
	if reply.At > now.Add(-maxAge).UnixMilli() && reply.At <= now.Add(clockSlack).UnixMilli() {
		return time.UnixMilli(reply.At)
	}
	return now
}

const (
	// maxAge is more than any reply can be old: it was waited for, or shared.
	maxAge = 5 * time.Minute
	// clockSlack is how far two measurements of Redis's clock may be apart.
	clockSlack = 2 * time.Second
)

// refusal makes what came over the bus fit to be shown: an agent, which may be
// newer than this master or hostile, can neither invent codes nor claim those
// that speak about this API's own users and routes.
func refusal(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	code := f.Code
	switch code {
	case fault.BadRequest, fault.NotFound, fault.QueueFull, fault.AgentError, fault.AgentOffline,
		fault.ClusterUnknown, fault.StoreUnavailable, fault.Timeout, fault.ResultTooLarge:
	default:
		code = fault.AgentError
	}
	message := f.Message
	if code == fault.AgentError {
		message = fault.Public(message) // an agent of another version may tell too much
	}
	return fault.Wrap(f.Unwrap(), code, "%s", envelope.Clip(message)).After(f.RetryAfter)
}
