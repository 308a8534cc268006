package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// patience is how long poll tries: far more than anything takes that works.
const patience = 2 * time.Minute

// poll tries until it works, ctx is done, a part breaks, or patience runs out.
func (s *stack) poll(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("load: waiting for %s: %w", what, errors.Join(ctx.Err(), err))
		case broken := <-s.broken:
			return broken
		case <-ticker.C:
		}
	}
}

func (s *stack) dial(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address(port))
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// maxAnswer bounds what get reads.
const maxAnswer = 64 << 20

// get asks for a URL and hands the body of a 200 to check, which may be nil.
func (s *stack) get(url string, check func([]byte) error) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, res.Body.Close()) }()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %.200s", res.Status, body)
		}
		if check == nil {
			return nil
		}
		return check(body)
	}
}
