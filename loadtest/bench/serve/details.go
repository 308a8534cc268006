package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/loadtest/bench"
	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
)

// detailStage is what details are asked of.
type detailStage struct {
	stage
	redisPID int
	master   *child
	agents   *child
	world    fleet.World
	clients  *conn.Clients // of the bare callers
	asked    *atomic.Int64 // requests so far: each is another one
	// commandBytes and replyBytes are the lengths of what goes over Redis.
	commandBytes, replyBytes int
}

func (p Plan) details(ctx context.Context) (_ []Table, _ []bench.Target, err error) {
	s := &detailStage{stage: stage{plan: p}, asked: new(atomic.Int64)}
	defer func() { err = firstError(err, s.end()) }()
	if err := s.set(ctx); err != nil {
		return nil, nil, err
	}
	most := 0
	for _, n := range p.InFlight {
		most = max(most, n)
	}
	if s.clients, err = openPool(p.Redis, most); err != nil { //nolint:contextcheck // it keeps the clock in step until Close
		return nil, nil, err
	}
	defer func() { err = firstError(err, s.clients.Close()) }()
	t := Table{
		Title: "(b) Details: POST " + logsPath + " with a query that takes no time",
		Notes: []string{
			"HTTP: to a master, over Redis to the agent of the cluster and back; each request asks for other words, so that none is shared with another and all are run.",
			fmt.Sprintf("BLPOP: the floor, the same redis-server and driver: RPUSH of a command of %d bytes, BLPOP by another process, RPUSH of a reply of %d bytes, BLPOP; each caller has its own two lists and two connections. The lengths are those of the HTTP requests' commands and replies.", s.commandBytes, s.replyBytes),
			"polling: the same, but the other process looks at the list each 100 ms.",
			"CPU: microseconds for each request, of the master, of who answers (the agent, with what it makes up, or the process of the bare commands), of the redis-server and of the client.",
		},
		Columns: []string{"requests/s", "p50 ms", "p99 ms", "CPU master", "agent", "Redis", "client", "/ BLPOP: p50", "p99"},
	}
	var targets []bench.Target
	for _, n := range p.InFlight {
		rounds, err := s.measure(ctx, n)
		if err != nil {
			return nil, nil, fmt.Errorf("%d in flight: %w", n, err)
		}
		targets = append(targets, detailRows(&t, n, rounds)...)
	}
	return []Table{t}, targets, nil
}

const logsPath = api.Prefix + "/observe/logs/query"

// set starts a master and an agent, and waits until they answer.
func (s *detailStage) set(ctx context.Context) (err error) {
	if err := s.plan.say("details: starting"); err != nil {
		return err
	}
	if s.redisPID, err = redisPID(ctx, s.plan.Redis); err != nil {
		return err
	}
	size := fleetSize{Prefix: "details", Clusters: 1, Nodes: smallCluster, ChangeEvery: changeEvery, Interval: s.plan.Interval}
	s.world = size.world(0)
	if s.agents, err = s.start(ctx, job{Role: roleFleet, Redis: s.plan.Redis, Fleet: size, Profile: s.plan.profile("details-agents")}); err != nil {
		return err
	}
	if s.master, err = s.stage.master(ctx, "details"); err != nil {
		return err
	}
	asked, r := s.logs(), s.request()
	r.body = func() []byte { return asked }
	var body []byte
	err = until(ctx, "a detail is answered", func() (err error) {
		body, err = r.once()
		return err
	})
	if err != nil {
		return err
	}
	got, err := data(body)
	if err != nil {
		return err
	}
	query := logsOf(0)
	if err := s.world.CheckAnswer(query, got); err != nil {
		return err
	}
	return s.lengths(query)
}

// logsOf is the nth request.
func logsOf(n int64) detail.Logs {
	return detail.Logs{
		Query: "nonce-" + strconv.FormatInt(n, 10) + "-", Limit: 500,
		Range: detail.Range{Start: 1_700_000_000_000, End: 1_700_000_600_000},
	}
}

// lengths finds how long the command and the reply are that go over Redis.
func (s *detailStage) lengths(query detail.Logs) error {
	params, err := codec.Encode(query)
	if err != nil {
		return err
	}
	answer, err := codec.Encode(s.world.Answer(query))
	if err != nil {
		return err
	}
	const id = "0123456789abcdef0123456789" // as long as one of 128 bits
	command, err := codec.Encode(bus.Command{
		V: bus.Version, ID: id, Kind: detail.KindLogs, Params: params, Deadline: query.Range.End, Replica: "master-" + id,
	})
	if err != nil {
		return err
	}
	reply, err := codec.Encode(bus.Reply{V: bus.Version, ID: id, Agent: "fleet-" + id, Data: answer, TookMs: 0.5, At: query.Range.End})
	s.commandBytes, s.replyBytes = len(command), len(reply)
	return err
}

// logs is the JSON of the next request, which is like no other.
func (s *detailStage) logs() []byte {
	query := logsOf(s.asked.Add(1) - 1)
	return fmt.Appendf(nil, `{"cluster_id":%q,"query":%q,"start_time":%q,"end_time":%q,"limit":%d}`,
		s.world.Cluster, query.Query, query.Range.StartTime().Format(time.RFC3339), query.Range.EndTime().Format(time.RFC3339), query.Limit)
}

func (s *detailStage) request() request {
	return request{url: s.master.url + logsPath, body: s.logs, check: speaksOf}
}

// speaksOf tells whether the answer holds what was asked for.
func speaksOf(asked, answer []byte) error {
	var request struct{ Query string }
	if err := json.Unmarshal(asked, &request); err != nil {
		return err
	}
	if !bytes.Contains(answer, []byte(request.Query)) {
		return fmt.Errorf("asked for %q, answered %.200s", request.Query, answer)
	}
	return nil
}

// measure lets the three ways take turns.
func (s *detailStage) measure(ctx context.Context, inFlight int) (_ map[string][]sample, err error) {
	bare := stage{plan: s.plan}
	defer func() { err = firstError(err, bare.end()) }()
	echo, err := bare.start(ctx, job{Role: roleEcho, Redis: s.plan.Redis, Callers: inFlight, ReplyBytes: s.replyBytes})
	if err != nil {
		return nil, err
	}
	poll, err := bare.start(ctx, job{Role: rolePoll, Redis: s.plan.Redis, ReplyBytes: s.replyBytes})
	if err != nil {
		return nil, err
	}
	open := func(list func(int) string) func(context.Context, int) (caller, error) {
		return func(ctx context.Context, i int) (caller, error) {
			return pingpong{
				ctx: ctx, clients: s.clients, list: list(i), replies: replyList + strconv.Itoa(i),
				command: command(i, s.commandBytes), replyBytes: s.replyBytes,
			}, nil
		}
	}
	ways := []struct {
		id string
		loop
	}{
		{"blpop", loop{processes: []int{echo.pid, s.redisPID}, open: open(func(i int) string { return echoList + strconv.Itoa(i) })}},
		{"http", loop{processes: []int{s.master.pid, s.agents.pid, s.redisPID}, open: s.request().open}},
		{"poll", loop{processes: []int{poll.pid, s.redisPID}, open: open(func(int) string { return pollList })}},
	}
	if err := s.plan.say("details: %d in flight", inFlight); err != nil {
		return nil, err
	}
	rounds := make(map[string][]sample)
	for round := range s.plan.Rounds {
		for i := range ways {
			way := ways[(i+round)%len(ways)]
			way.callers, way.length = inFlight, s.plan.Length
			got, err := way.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", way.id, err)
			}
			rounds[way.id] = append(rounds[way.id], got)
		}
	}
	return rounds, nil
}

func detailRows(t *Table, inFlight int, rounds map[string][]sample) []bench.Target {
	floor := rounds["blpop"]
	for _, way := range []struct{ id, what string }{
		{"blpop", "bare BLPOP, both ways"}, {"http", "HTTP, master, agent"}, {"poll", "polling each 100 ms"},
	} {
		own := rounds[way.id]
		cells := []string{
			fmt.Sprintf("%d in flight: %s", inFlight, way.what),
			number(over(own, sample.perSecond)), number(over(own, sample.p50)), number(over(own, sample.p99)),
			masterPerCall(own), number(over(own, answererPerCall)), number(over(own, redisPerCall)), number(over(own, sample.clientPerCall)),
		}
		if way.id != "blpop" {
			cells = append(cells, number(ratio(own, floor, sample.p50)), number(ratio(own, floor, sample.p99)))
		}
		t.add(fmt.Sprintf("b/%d/%s", inFlight, way.id), cells...)
	}
	id := fmt.Sprintf("b/%d: ", inFlight)
	switch inFlight {
	case 1:
		return []bench.Target{{Name: id + "p50, HTTP / bare BLPOP, 1 in flight", Value: ratio(rounds["http"], floor, sample.p50), Limit: 2}}
	case 50:
		return []bench.Target{{Name: id + "p99 of HTTP, ms, 50 in flight", Value: over(rounds["http"], sample.p99), Limit: 10}}
	}
	return nil
}

// answererPerCall is the processor time of the last process before the redis-server.
func answererPerCall(s sample) float64 { return s.perCall(len(s.used) - 2) }

// masterPerCall is the processor time of the master, where there is one.
func masterPerCall(rounds []sample) string {
	if len(rounds[0].used) < 3 {
		return "-"
	}
	return number(over(rounds, func(s sample) float64 { return s.perCall(0) }))
}
