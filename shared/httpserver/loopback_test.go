package httpserver_test

import (
	"testing"

	"github.com/atlhyper/observe/shared/httpserver"
)

func TestLoopback(t *testing.T) {
	t.Parallel()
	for hostport, want := range map[string]bool{
		"localhost": true, "localhost:8080": true, "dash.localhost:80": true, "127.0.0.1": true, "127.1.2.3:1": true, "[::1]": true, "[::1]:80": true,
		"": false, ":8080": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1": false, "localhost.example.org": false, "notlocalhost": false,
		"127.0.0.1.example.org:80": false,
	} {
		if got := httpserver.IsLoopback(httpserver.Hostname(hostport)); got != want {
			t.Errorf("%q: %v", hostport, got)
		}
	}
}
