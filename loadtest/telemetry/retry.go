package telemetry

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// insert writes the rows of one table and does not give up while trying again
// may help.
func (r *Replayer) insert(ctx context.Context, t table, rows *Rows) error {
	err := t.insert(ctx, r.cfg.Conn, r.prefix, rows)
	wait := r.cfg.RetryWait
	for attempt := 1; err != nil; attempt++ {
		if ctx.Err() != nil || permanent(err) {
			return err
		}
		r.cfg.Logger.Warn("telemetry: insert failed, trying again", "table", t.tableName(), "rows", t.count(rows), "attempt", attempt, "wait", wait, "error", err)
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, maxRetryWait)
		var stored bool
		if stored, err = t.stored(ctx, r.cfg.Conn, r.prefix, rows); err != nil {
			continue
		}
		if !stored {
			err = t.insert(ctx, r.cfg.Conn, r.prefix, rows)
		}
	}
	return nil
}

// pause waits, or returns the context's error when it is done first.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// ClickHouse's codes for what no second attempt mends.
const (
	codeNoSuchColumn         = 16
	codeUnknownIdentifier    = 47
	codeTypeMismatch         = 53
	codeUnknownTable         = 60
	codeUnknownDatabase      = 81
	codeReadonly             = 164
	codeAccessDenied         = 497
	codeAuthenticationFailed = 516
)

func permanent(err error) bool {
	if errors.Is(err, clickhouse.ErrBatchInvalid) {
		return true // a row does not fit its table
	}
	var exception *clickhouse.Exception
	return errors.As(err, &exception) && slices.Contains([]int32{
		codeNoSuchColumn, codeUnknownIdentifier, codeTypeMismatch, codeUnknownTable,
		codeUnknownDatabase, codeReadonly, codeAccessDenied, codeAuthenticationFailed,
	}, exception.Code)
}
