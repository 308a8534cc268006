package serve

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/atlhyper/observe/redis/conn"
)

// serverInfo is what a redis-server counts.
type serverInfo struct {
	fields map[string]string
	err    error
}

// readInfo asks for all counters at once. The errors of reading and of a counter that
// is not there are told by the first one that is asked for.
func readInfo(ctx context.Context, clients *conn.Clients) *serverInfo {
	text, err := clients.Normal.Info(ctx, "everything").Result()
	i := &serverInfo{fields: make(map[string]string), err: err}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			i.fields[name] = value
		}
	}
	return i
}

func (i *serverInfo) number(name string) float64 {
	v, err := strconv.ParseFloat(i.fields[name], 64)
	if err != nil && i.err == nil {
		i.err = fmt.Errorf("INFO: %s: %w", name, err)
	}
	return v
}

func (i *serverInfo) pid() (int, error) {
	pid := int(i.number("process_id"))
	return pid, i.err
}

// counters are those that the bench compares.
type counters struct {
	commands, received, sent float64 // received and sent are bytes
	processor                time.Duration
	memory                   float64 // of data and keys, without that of connections
	clients, clientMemory    float64
}

func readCounters(ctx context.Context, clients *conn.Clients) (counters, error) {
	i := readInfo(ctx, clients)
	c := counters{
		commands: i.number("total_commands_processed"), received: i.number("total_net_input_bytes"), sent: i.number("total_net_output_bytes"),
		processor:    time.Duration((i.number("used_cpu_user") + i.number("used_cpu_sys")) * float64(time.Second)),
		clients:      i.number("connected_clients"),
		clientMemory: i.number("mem_clients_normal"),
	}
	c.memory = i.number("used_memory") - c.clientMemory
	return c, i.err
}

// since is what was counted between two readings; memory and clients are those of the
// second one.
func (c counters) since(before counters) counters {
	d := c
	d.commands -= before.commands
	d.received -= before.received
	d.sent -= before.sent
	d.processor -= before.processor
	return d
}

// counted is what the server counted while something was done.
func counted(ctx context.Context, clients *conn.Clients, do func() error) (counters, error) {
	before, err := readCounters(ctx, clients)
	if err != nil {
		return counters{}, err
	}
	if err := do(); err != nil {
		return counters{}, err
	}
	after, err := readCounters(ctx, clients)
	return after.since(before), err
}

// memoryUsage is what the server says that keys take, in bytes; a key that is not
// there is an error.
func memoryUsage(ctx context.Context, clients *conn.Clients, keys ...string) (sum int64, err error) {
	for _, k := range keys {
		n, err := clients.Normal.MemoryUsage(ctx, k, 0).Result() // 0: looks at all fields
		if err != nil {
			return 0, errors.Join(fmt.Errorf("MEMORY USAGE %s", k), err)
		}
		sum += n
	}
	return sum, nil
}
