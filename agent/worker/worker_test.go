package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/atlhyper/observe/agent/worker"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

func registry(answer func(context.Context, detail.Node) (model.NodeMetrics, detail.Meta, error)) *worker.Registry {
	r := worker.NewRegistry(slog.New(slog.DiscardHandler))
	worker.Handle(r, answer)
	return r
}

func ask(t *testing.T, kind detail.Kind, params any) bus.Command {
	t.Helper()
	raw, err := codec.Encode(params)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Command{ID: "1", Kind: kind, Params: raw}
}

func TestRunAnswers(t *testing.T) {
	t.Parallel()
	r := registry(func(_ context.Context, n detail.Node) (model.NodeMetrics, detail.Meta, error) {
		return model.NodeMetrics{NodeName: n.Name}, detail.Meta{WindowSeconds: 300}, nil
	})
	reply := r.Run(t.Context(), ask(t, detail.KindNode, detail.Node{Name: "n1"}))
	if reply.Code != "" || reply.Meta.WindowSeconds != 300 {
		t.Fatalf("reply %+v", reply)
	}
	var got model.NodeMetrics
	if err := codec.Decode(reply.Data, &got); err != nil || got.NodeName != "n1" {
		t.Errorf("data %+v, %v", got, err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.1.2.3: password=hunter2")
	fails := func(err error) func(context.Context, detail.Node) (model.NodeMetrics, detail.Meta, error) {
		return func(context.Context, detail.Node) (model.NodeMetrics, detail.Meta, error) {
			return model.NodeMetrics{}, detail.Meta{}, err
		}
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the deadline passed"))
	good := ask(t, detail.KindNode, detail.Node{Name: "n1"})
	for name, c := range map[string]struct {
		ctx     context.Context
		command bus.Command
		err     error
		code    fault.Code
		says    string
	}{
		"unknown kind":       {t.Context(), ask(t, "reboot", detail.Node{}), nil, fault.BadRequest, `"reboot"`},
		"no params":          {t.Context(), bus.Command{Kind: detail.KindNode}, nil, fault.BadRequest, "cannot be read"},
		"params of a list":   {t.Context(), ask(t, detail.KindNode, []int64{1}), nil, fault.BadRequest, "cannot be read"},
		"invalid params":     {t.Context(), ask(t, detail.KindNode, detail.Node{}), nil, fault.BadRequest, "name: is required"},
		"a code of its own":  {t.Context(), good, fault.New(fault.NotFound, "there is no node n1"), fault.NotFound, "there is no node n1"},
		"an unknown failure": {t.Context(), good, secret, fault.AgentError, "the query failed on the agent"},
		"stopped":            {ended, good, secret, fault.Timeout, "the deadline passed"},
	} {
		reply := registry(fails(c.err)).Run(c.ctx, c.command)
		if reply.Code != c.code || !strings.Contains(reply.Message, c.says) {
			t.Errorf("%s: %q %q, want %q with %q", name, reply.Code, reply.Message, c.code, c.says)
		}
		if strings.Contains(reply.Message, "hunter2") || len(reply.Data) > 0 {
			t.Errorf("%s: the reply gives away %q %x", name, reply.Message, reply.Data)
		}
	}
}

func TestRunRefusesWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	r := registry(func(context.Context, detail.Node) (model.NodeMetrics, detail.Meta, error) {
		return model.NodeMetrics{CPU: model.NodeCPU{UsagePct: math.NaN()}}, detail.Meta{}, nil
	})
	reply := r.Run(t.Context(), ask(t, detail.KindNode, detail.Node{Name: "n1"}))
	if reply.Code != fault.AgentError {
		t.Errorf("reply %+v, want agent_error", reply)
	}
}

func TestTwoHandlersOfAKindPanic(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	handler := func(context.Context, detail.Node) (model.NodeMetrics, detail.Meta, error) {
		return model.NodeMetrics{}, detail.Meta{}, nil
	}
	worker.Handle(registry(handler), handler)
}

// Whatever stands in a command, it is run within bounds or refused: every kind of
// request is decoded and checked.
func FuzzParams(f *testing.F) {
	r := worker.NewRegistry(slog.New(slog.DiscardHandler))
	kinds := []detail.Kind{"", "no such kind"}
	kinds = append(kinds, checked[detail.Node](r), checked[detail.NodeSeries](r), checked[detail.Traces](r), checked[detail.Trace](r),
		checked[detail.Logs](r), checked[detail.SLOSeries](r), checked[detail.Section](r))
	hour := detail.Range{Start: 1_700_000_000_000, End: 1_700_003_600_000}
	for i, request := range []any{
		detail.Node{Name: "n"}, detail.NodeSeries{Name: "n", Metric: "cpu", Range: hour}, detail.Traces{Range: hour, Limit: 5, Sort: detail.SortTime},
		detail.Trace{TraceID: strings.Repeat("a", 32)}, detail.Logs{Range: hour, Limit: 5}, detail.SLOSeries{Service: "s", Range: hour},
	} {
		data, err := codec.Encode(request)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i+2), data)
		f.Add(uint8(i+3), data[:len(data)/2])
	}
	f.Add(uint8(2), []byte(strings.Repeat("\x91", 10_000)))
	f.Add(uint8(3), []byte("\xdf\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, kind uint8, params []byte) {
		reply := r.Run(t.Context(), bus.Command{ID: "c", Kind: kinds[int(kind)%len(kinds)], Params: params})
		if reply.Code != "" && reply.Code != fault.BadRequest {
			t.Fatalf("code %q: %s", reply.Code, reply.Message)
		}
		if len(reply.Message) > 4096 {
			t.Fatalf("a message of %d bytes", len(reply.Message))
		}
	})
}

// checked registers a handler that is only reached by requests that are valid.
func checked[R detail.Request](r *worker.Registry) detail.Kind {
	worker.Handle(r, func(_ context.Context, request R) (int, detail.Meta, error) {
		if err := request.Validate(); err != nil {
			return 0, detail.Meta{}, fault.New(fault.Internal, "an invalid request came through: %s", err)
		}
		return 1, detail.Meta{}, nil
	})
	var zero R
	return zero.Kind()
}
