package tracing

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A failure is logged once in a while, with how many there were; a success after that.
func TestReport(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Unix(0, 0)
	r := &report{logger: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	said := func(want string) {
		t.Helper()
		if got := log.String(); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("log %q, want %q", got, want)
		}
		log.Reset()
	}
	ctx, broken := t.Context(), errors.New("broken")
	r.success(ctx)
	said("")
	r.failure(ctx, broken)
	said("failures=1 error=broken")
	now = now.Add(quiet - 1)
	r.failure(ctx, broken)
	r.failure(ctx, broken)
	said("")
	r.success(ctx)
	said("exported again")
	r.failure(ctx, broken)
	r.success(ctx)
	said("")
	now = now.Add(quiet)
	r.failure(ctx, broken)
	said("failures=4")
}
