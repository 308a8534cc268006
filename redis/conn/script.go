package conn

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Script runs Lua by its digest, and sends the text when the server does not know
// it (yet, or again: it was restarted or emptied).
type Script struct{ script *redis.Script }

// NewScript returns the script of parts, put together in order.
func NewScript(parts ...string) *Script {
	return &Script{script: redis.NewScript(strings.Join(parts, ""))}
}

// Run runs the script. Errors are those of Unavailable.
func (s *Script) Run(ctx context.Context, client redis.UniversalClient, keys []string, args ...any) (any, error) {
	result, err := s.script.Run(ctx, client, keys, args...).Result()
	return result, Unavailable(err)
}

// Call is one run of a script.
type Call struct {
	Keys []string
	Args []any
}

// Answer is what came of a Call. Err is one of Unavailable.
type Answer struct {
	Value any
	Err   error
}

// RunAll runs the script once for each call, in one round trip, or in two when a
// server does not know it. In Redis Cluster the calls may have keys on several
// servers; each fails or works by itself.
func (s *Script) RunAll(ctx context.Context, client redis.UniversalClient, calls []Call) []Answer {
	answers := make([]Answer, len(calls))
	all := make([]int, len(calls))
	for i := range all {
		all[i] = i
	}
	unknown := s.pipeline(ctx, client, calls, all, answers, s.script.EvalSha)
	if len(unknown) > 0 {
		s.pipeline(ctx, client, calls, unknown, answers, s.script.Eval)
	}
	for i := range answers {
		answers[i].Err = Unavailable(answers[i].Err)
	}
	return answers
}

// pipeline runs some of the calls and returns those whose server has no such script.
func (*Script) pipeline(ctx context.Context, client redis.UniversalClient, calls []Call, which []int, answers []Answer,
	run func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd) (unknown []int) {
	cmds := make([]*redis.Cmd, len(which))
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, n := range which {
			cmds[i] = run(ctx, p, calls[n].Keys, calls[n].Args...)
		}
		return nil
	})
	for i, n := range which {
		value, failed := cmds[i].Result()
		if failed == nil && value == nil {
			failed = err // it was not sent
		}
		answers[n] = Answer{Value: value, Err: failed}
		if redis.HasErrorPrefix(failed, "NOSCRIPT") {
			unknown = append(unknown, n)
		}
	}
	return unknown
}

// Time turns a script's seconds and microseconds of TIME into a time.
func Time(seconds, micros int64) time.Time { return time.Unix(seconds, micros*1000).UTC() }

// Ints reads the first n elements of a script's list as integers, sent as
// integers or in decimal.
func Ints(result any, n int) ([]int64, error) {
	list, ok := result.([]any)
	if !ok || len(list) < n {
		return nil, fmt.Errorf("script: want a list of %d, got %T", n, result)
	}
	out := make([]int64, n)
	for i := range n {
		switch v := list[i].(type) {
		case int64:
			out[i] = v
		case string:
			parsed, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("script: element %d: %w", i, err)
			}
			out[i] = parsed
		default:
			return nil, fmt.Errorf("script: element %d is a %T", i, v)
		}
	}
	return out, nil
}

// Strings reads a script's list of strings.
func Strings(result any) ([]string, error) {
	list, ok := result.([]any)
	if !ok {
		return nil, fmt.Errorf("script: want a list, got %T", result)
	}
	out := make([]string, len(list))
	for i, v := range list {
		if out[i], ok = v.(string); !ok {
			return nil, fmt.Errorf("script: element %d is a %T", i, v)
		}
	}
	return out, nil
}
