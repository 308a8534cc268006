package telemetry

import (
	"os"
	"sync"
	"testing"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

var engine chdbtest.Shared

// captured is decoded once for all tests; they must not change it.
var captured = sync.OnceValues(Load)

func TestMain(m *testing.M) { os.Exit(engine.Run(m)) }

func mustLoad(t *testing.T) *Capture {
	t.Helper()
	c, err := captured()
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}
