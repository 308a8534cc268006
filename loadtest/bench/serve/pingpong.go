package serve

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/redis/conn"
)

// The lists of bare commands. Each caller has lists of its own, but for those whom
// rolePoll answers.
const (
	pollList   = "bench:polled"
	replyList  = "bench:reply:"
	echoList   = "bench:command:"
	pollEvery  = 100 * time.Millisecond
	pollAtOnce = 1000
)

// popWait is how long a bare BLPOP waits before it asks again.
const popWait = time.Second

func openPool(redis string, connections int) (*conn.Clients, error) {
	return conn.Open(conn.Config{URL: redis, PoolSize: connections + 2})
}

// pop waits for an element as long as ctx lasts; nil when it has ended.
func pop(ctx context.Context, clients *conn.Clients, list string) ([]byte, error) {
	for ctx.Err() == nil {
		got, err := clients.Normal.BLPop(ctx, popWait, list).Result()
		if err == nil {
			return []byte(got[1]), nil
		}
		if conn.Unavailable(err) != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("BLPOP %s: %w", list, err)
		}
	}
	return nil, nil
}

// echo answers each caller's commands: BLPOP, RPUSH and nothing else.
func (j job) echo(ctx context.Context) error {
	clients, err := openPool(j.Redis, j.Callers) //nolint:contextcheck // it keeps the clock in step until Close
	if err != nil {
		return err
	}
	reply := bytes.Repeat([]byte("r"), j.ReplyBytes)
	group, ctx := errgroup.WithContext(ctx)
	for i := range j.Callers {
		group.Go(func() error {
			commands, replies := echoList+strconv.Itoa(i), replyList+strconv.Itoa(i)
			for {
				command, err := pop(ctx, clients, commands)
				if command == nil || err != nil {
					return err
				}
				if err := clients.Normal.RPush(ctx, replies, reply).Err(); err != nil {
					return fmt.Errorf("RPUSH %s: %w", replies, err)
				}
			}
		})
	}
	return firstError(group.Wait(), clients.Close())
}

// poll takes all that lies in the list each 100 ms and answers it.
func (j job) poll(ctx context.Context) error {
	clients, err := openPool(j.Redis, 1) //nolint:contextcheck // it keeps the clock in step until Close
	if err != nil {
		return err
	}
	reply := bytes.Repeat([]byte("r"), j.ReplyBytes)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return clients.Close()
		case <-ticker.C:
		}
		if err := answerAll(ctx, clients, reply); err != nil && ctx.Err() == nil {
			return firstError(err, clients.Close())
		}
	}
}

// answerAll takes what lies in the list now. A command begins with the number of its
// caller and a space.
func answerAll(ctx context.Context, clients *conn.Clients, reply []byte) error {
	commands, err := clients.Normal.LPopCount(ctx, pollList, pollAtOnce).Result()
	if conn.Unavailable(err) != nil {
		return fmt.Errorf("LPOP: %w", err)
	}
	for _, command := range commands {
		number, _, _ := bytes.Cut([]byte(command), []byte(" "))
		if err := clients.Normal.RPush(ctx, replyList+string(number), reply).Err(); err != nil {
			return fmt.Errorf("RPUSH: %w", err)
		}
	}
	return nil
}

// pingpong is a caller that pushes a command and waits for the reply by BLPOP.
type pingpong struct {
	ctx           context.Context //nolint:containedctx // of the loop that it belongs to
	clients       *conn.Clients
	list, replies string
	command       []byte
	replyBytes    int
}

func (p pingpong) call() error {
	if err := p.clients.Normal.RPush(p.ctx, p.list, p.command).Err(); err != nil {
		return fmt.Errorf("RPUSH %s: %w", p.list, err)
	}
	reply, err := pop(p.ctx, p.clients, p.replies)
	if err != nil {
		return err
	}
	if len(reply) != p.replyBytes {
		return fmt.Errorf("a reply of %d bytes, want %d", len(reply), p.replyBytes)
	}
	return nil
}

func (p pingpong) close() error { return nil }

// command is of the given length and begins with the caller's number.
func command(number, length int) []byte {
	text := append(strconv.AppendInt(nil, int64(number), 10), ' ')
	return append(text, bytes.Repeat([]byte("c"), max(0, length-len(text)))...)
}
