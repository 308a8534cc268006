package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/master/envelope"
)

// replica is one master as its users see it.
type replica struct {
	name string
	url  string // http://127.0.0.1:PORT
	http *http.Client
}

// answer is what came back: of a success Data and Meta, of a failure Error and Code.
type answer struct {
	Status  int             `json:"-"`
	Header  http.Header     `json:"-"`
	Took    time.Duration   `json:"-"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
	Meta    envelope.Meta   `json:"meta"`
	Error   string          `json:"error"`
	Code    string          `json:"code"`
}

const prefix = "/api/v2"

// get asks for a path under the prefix with alternating names and values of
// parameters; an empty value leaves its parameter out.
func (r *replica) get(tb testing.TB, path string, params ...string) answer {
	tb.Helper()
	return r.do(tb, http.MethodGet, prefix+path+"?"+query(params...), "")
}

// post sends a JSON body.
func (r *replica) post(tb testing.TB, path string, body any) answer {
	tb.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	return r.do(tb, http.MethodPost, prefix+path, string(text))
}

func query(params ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		if params[i+1] != "" {
			values.Set(params[i], params[i+1])
		}
	}
	return values.Encode()
}

func (r *replica) do(tb testing.TB, method, target, body string) answer {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, r.url+target, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	began := time.Now()
	res, err := r.http.Do(req)
	if err != nil {
		tb.Fatalf("%s %s on %s: %v", method, target, r.name, err)
	}
	defer func() {
		if err := res.Body.Close(); err != nil {
			tb.Errorf("close the body: %v", err)
		}
	}()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatalf("%s %s on %s: read: %v", method, target, r.name, err)
	}
	a := answer{Status: res.StatusCode, Header: res.Header, Took: time.Since(began)}
	if err := json.Unmarshal(text, &a); err != nil {
		tb.Fatalf("%s %s on %s: %v in %.300s", method, target, r.name, err, text)
	}
	return a
}

// ok fails the test unless the answer is a success.
func (a answer) ok(tb testing.TB, what string) answer {
	tb.Helper()
	if a.Status != http.StatusOK || a.Message != "ok" {
		tb.Fatalf("%s: status %d, code %q: %s", what, a.Status, a.Code, a.Error)
	}
	return a
}

// refused fails the test unless the answer is this failure, in words.
func (a answer) refused(tb testing.TB, what string, status int, code string) {
	tb.Helper()
	if a.Status != status || a.Code != code || a.Error == "" {
		tb.Errorf("%s: status %d, code %q, error %q; want %d %s", what, a.Status, a.Code, a.Error, status, code)
	}
	retry := a.Header.Get("Retry-After") != ""
	if want := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable; retry != want {
		tb.Errorf("%s: Retry-After is there: %v, want %v", what, retry, want)
	}
}

// decode reads data into its type and refuses fields that the type doesn't have.
func decode[T any](tb testing.TB, data json.RawMessage) T {
	tb.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("decode %T: %v in %.300s", v, err, data)
	}
	return v
}

// decodeLoose is decode for what says more than the test looks at.
func decodeLoose[T any](tb testing.TB, data json.RawMessage) T {
	tb.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatalf("decode %T: %v in %.300s", v, err, data)
	}
	return v
}
