package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/atlhyper/observe/shared/fault"
)

func TestFromFindsTheCodeThroughWraps(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial 10.0.0.1: refused")
	err := fmt.Errorf("publish: %w", fault.Wrap(cause, fault.StoreUnavailable, "Redis cannot be reached"))

	got := fault.From(err)
	if got.Code != fault.StoreUnavailable || got.Message != "Redis cannot be reached" {
		t.Errorf("From = %v, want the store_unavailable error", got)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if !fault.Is(err, fault.StoreUnavailable) || fault.Is(err, fault.Timeout) {
		t.Error("Is tells the wrong code")
	}
}

func TestFromHidesForeignErrors(t *testing.T) {
	t.Parallel()
	got := fault.From(errors.New("password=hunter2"))
	if got.Code != fault.Internal || got.Message != "internal error" {
		t.Errorf("From = %q %q, want an internal error that gives nothing away", got.Code, got.Message)
	}
	if fault.From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
}

func TestAfterCopies(t *testing.T) {
	t.Parallel()
	e := fault.New(fault.QueueFull, "the list of cluster %s is full", "a")
	if got := e.After(time.Second).RetryAfter; got != time.Second {
		t.Errorf("RetryAfter = %v, want 1s", got)
	}
	if e.RetryAfter != 0 {
		t.Error("After changed the original")
	}
}
