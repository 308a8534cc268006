// Package sse is the module k6/x/sse for k6's scripts:
//
//	import sse from 'k6/x/sse';
//	const end = sse.read(url, { headers: {}, seconds: 10 }, (event) => { … });
package sse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/js/common"
	"go.k6.io/k6/js/modules"

	"github.com/atlhyper/observe/loadtest/k6/runner/event"
)

// Module makes an instance for each virtual user.
type Module struct{}

// NewModuleInstance implements modules.Module.
func (Module) NewModuleInstance(vu modules.VU) modules.Instance { return &instance{vu: vu} }

type instance struct{ vu modules.VU }

// Exports implements modules.Instance.
func (i *instance) Exports() modules.Exports {
	return modules.Exports{Default: map[string]any{"read": i.read}}
}

// Params are the second argument of read.
type Params struct {
	// Headers are sent with the request.
	Headers map[string]string `js:"headers"`
	// Seconds is after how long the client closes the stream. 0 means at the end of
	// the test.
	Seconds float64 `js:"seconds"`
}

// End is what read returns.
type End struct {
	// Status is that of the response; 0 without one.
	Status int `js:"status"`
	// Why is "time" (Seconds are over), "client" (onEvent returned false), "server"
	// (the response ended), "refused" (the status is not 200) or "error".
	Why string `js:"why"`
	// Error is what went wrong, Body what a refusal says, up to 4 KB of it.
	Error string `js:"error"`
	Body  string `js:"body"`
	// Bytes counts what was read of events and comments, LastID is the id of the
	// last event.
	Bytes  int64  `js:"bytes"`
	LastID string `js:"lastID"`
}

// scriptEvent is what onEvent gets.
type scriptEvent struct {
	Name    string `js:"name"`
	Data    string `js:"data"`
	ID      string `js:"id"`
	Comment bool   `js:"comment"`
	Bytes   int    `js:"bytes"`
}

const maxRefusal = 4 << 10

// read opens a stream and hands each event to onEvent until the time is over, the
// server ends it, or onEvent returns false. As k6's http it blocks the virtual user.
func (i *instance) read(url string, params Params, onEvent sobek.Callable) End {
	state := i.vu.State()
	if state == nil {
		common.Throw(i.vu.Runtime(), errors.New("sse.read: not in the init context"))
	}
	if params.Seconds < 0 || onEvent == nil {
		common.Throw(i.vu.Runtime(), errors.New("sse.read: takes a URL, { headers, seconds } and a function"))
	}
	ctx, cancel := i.vu.Context(), context.CancelFunc(func() {})
	if params.Seconds > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(params.Seconds*float64(time.Second)))
	}
	defer cancel()
	end, err := i.stream(ctx, state.Transport, url, params.Headers, onEvent)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		end.Why = "time"
	case errors.Is(err, io.EOF):
		end.Why = "server"
	default:
		end.Why, end.Error = "error", err.Error()
	}
	return end
}

func (i *instance) stream(ctx context.Context, transport http.RoundTripper, url string, headers map[string]string, onEvent sobek.Callable) (end End, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return end, err
	}
	req.Header.Set("Accept", "text/event-stream")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	end.Status = res.StatusCode
	if res.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		end.Why, end.Body = "refused", string(body)
		return end, err
	}
	reader := event.NewReader(res.Body)
	for {
		e, err := reader.Next()
		if err != nil {
			return end, err
		}
		end.Bytes += int64(e.Bytes)
		end.LastID = e.LastID
		more, err := onEvent(sobek.Undefined(), i.vu.Runtime().ToValue(scriptEvent{e.Name, e.Data, e.LastID, e.Comment, e.Bytes}))
		if err != nil {
			return end, fmt.Errorf("the script: %w", err)
		}
		if more != nil && more.ExportType() != nil && !more.ToBoolean() {
			end.Why = "client"
			return end, nil
		}
	}
}
