package kubesim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

type reply struct {
	code    int
	Kind    string `json:"kind"`
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func do(t *testing.T, client *http.Client, req *http.Request) reply {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := reply{code: res.StatusCode}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%s %s: %v: %q", req.Method, req.URL, err, data)
	}
	return out
}
