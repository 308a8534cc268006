package httpserver

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// All are told to end before the end of any is waited for: here the first ends only when
// the second was told.
func TestEndAll(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	first := &Side{stop: func() {}, ended: make(chan error, 1)}
	second := &Side{ended: make(chan error, 1)}
	second.stop = sync.OnceFunc(func() {
		first.ended <- context.DeadlineExceeded // which is no error
		second.ended <- failed
	})
	ended := make(chan error, 1)
	go func() { ended <- EndAll(first, nil, second) }()
	bound, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, failed) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v, want %v", err, failed)
		}
	case <-bound.Done():
		t.Error("the second is not told to end while the first does")
	}
}
