package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/valyala/fasthttp"
)

// clientTimeout bounds one request; none of them comes near it.
const clientTimeout = 30 * time.Second

// request is what a caller asks over HTTP, again and again.
type request struct {
	url    string
	header map[string]string
	// conditional sends the entity tag of the last answer, as browsers do.
	conditional bool
	// body, if set, makes the body of each POST; it is GET otherwise.
	body func() []byte
	// check, if set, looks at each answer that is not 304.
	check func(asked, answer []byte) error
}

// httpCaller has one connection. It is fasthttp's, which takes less of the processor
// than net/http's client: on a machine that client and servers share, what one takes
// the others lack.
type httpCaller struct {
	request
	client *fasthttp.HostClient
	ask    *fasthttp.Request
	answer *fasthttp.Response
}

func (r request) open(context.Context, int) (caller, error) { return r.connect() }

func (r request) connect() (*httpCaller, error) {
	u, err := url.Parse(r.url)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	c := &httpCaller{
		request: r, ask: fasthttp.AcquireRequest(), answer: fasthttp.AcquireResponse(),
		client: &fasthttp.HostClient{
			Addr: u.Host, MaxConns: 1, MaxIdemponentCallAttempts: 1, NoDefaultUserAgentHeader: true,
			ReadTimeout: clientTimeout, WriteTimeout: clientTimeout, ReadBufferSize: 64 << 10,
		},
	}
	c.ask.SetRequestURI(r.url)
	for name, value := range r.header {
		c.ask.Header.Set(name, value)
	}
	if r.body != nil {
		c.ask.Header.SetMethod(fasthttp.MethodPost)
		c.ask.Header.SetContentType("application/json")
	}
	return c, nil
}

func (c *httpCaller) call() error {
	var asked []byte
	if c.body != nil {
		asked = c.body()
		c.ask.SetBodyRaw(asked)
	}
	if err := c.client.Do(c.ask, c.answer); err != nil {
		return fmt.Errorf("%s: %w", c.url, err)
	}
	status := c.answer.StatusCode()
	switch {
	case status == fasthttp.StatusNotModified && c.conditional:
		return nil
	case status != fasthttp.StatusOK || len(c.answer.Body()) == 0:
		return fmt.Errorf("%s: status %d: %.200s", c.url, status, c.answer.Body())
	}
	if c.conditional {
		c.ask.Header.SetBytesV("If-None-Match", c.answer.Header.Peek("ETag"))
	}
	if c.check != nil {
		return c.check(asked, c.answer.Body())
	}
	return nil
}

func (c *httpCaller) close() error {
	c.client.CloseIdleConnections()
	return nil
}

// once asks one time and returns the body, uncompressed.
func (r request) once() ([]byte, error) {
	c, err := r.connect()
	if err != nil {
		return nil, err
	}
	if err := c.call(); err != nil {
		return nil, firstError(err, c.close())
	}
	body, err := c.answer.BodyUncompressed()
	if err != nil {
		return nil, firstError(fmt.Errorf("%s: %w", r.url, err), c.close())
	}
	return bytes.Clone(body), c.close()
}

// data is the part of a body that the cluster published.
func data(body []byte) (json.RawMessage, error) {
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("the answer is no JSON: %w: %.200s", err, body)
	}
	return answer.Data, nil
}
