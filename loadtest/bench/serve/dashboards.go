package serve

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/atlhyper/observe/loadtest/bench"
	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/shared/model"
)

// contender is one of those that are asked for the same.
type contender struct {
	id, what string
	url      string
	// processes are what it is made of; the redis-server comes after them.
	processes []int
}

// dashboardStage is what dashboards are asked of.
type dashboardStage struct {
	stage
	worlds                                    []fleet.World // what the clusters show
	redisPID                                  int
	bare, ours, structs, balanced1, balanced3 contender
}

func clusterPrefix(nodes int) string { return "n" + strconv.Itoa(nodes) }
func clusterOfSize(nodes int) string { return clusterPrefix(nodes) + "-0" }

func (p Plan) dashboards(ctx context.Context) (_ []Table, _ []bench.Target, err error) {
	s := &dashboardStage{stage: stage{plan: p}}
	defer func() { err = firstError(err, s.end()) }()
	kind, err := s.set(ctx)
	if err != nil {
		return nil, nil, err
	}
	t := Table{
		Title: "(a) Dashboards: GET " + nodesPath,
		Notes: []string{
			"bare: a net/http handler in a process of its own that writes the same bytes, header and body; structs: HGET, decode into structs, encode, for each request.",
			"1 replica, 3 replicas: the same master alone and with two others behind " + kind + "; all share this machine's cores.",
			"CPU: microseconds of processor time for each request, of the servers (all processes but the redis-server), the redis-server and the client.",
			"/ bare: medians of the ratios of the rounds, which take turns.",
		},
		Columns: []string{"requests/s", "p50 ms", "p99 ms", "CPU server", "Redis", "client", "/ bare: requests/s", "p99", "CPU"},
	}
	var targets []bench.Target
	for _, g := range s.groups() {
		rounds, err := s.measure(ctx, g)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", g.id, err)
		}
		g.rows(&t, rounds)
		targets = append(targets, g.targets(rounds)...)
	}
	return []Table{t}, targets, nil
}

// set starts everything and waits until all answer what the clusters show.
func (s *dashboardStage) set(ctx context.Context) (balancer string, err error) {
	if err := s.plan.say("dashboards: starting"); err != nil {
		return "", err
	}
	if s.redisPID, err = redisPID(ctx, s.plan.Redis); err != nil {
		return "", err
	}
	var clusters []string
	for _, nodes := range s.plan.Nodes {
		size := fleetSize{Prefix: clusterPrefix(nodes), Clusters: 1, Nodes: nodes, ChangeEvery: changeEvery, Interval: s.plan.Interval}
		s.worlds = append(s.worlds, size.world(0))
		if _, err = s.start(ctx, job{Role: roleFleet, Redis: s.plan.Redis, Fleet: size}); err != nil {
			return "", err
		}
		clusters = append(clusters, clusterOfSize(nodes))
	}
	var masters []*child
	for _, name := range []string{"dashboards", "replica-2", "replica-3"} {
		m, err := s.master(ctx, name)
		if err != nil {
			return "", err
		}
		masters = append(masters, m)
	}
	for _, m := range masters {
		if err := s.shown(ctx, contender{id: "master", url: m.url}); err != nil {
			return "", err
		}
	}
	kind, balanced, err := s.balancers(ctx, masters[:1], masters)
	if err != nil {
		return "", err
	}
	bare, err := s.serving(ctx, job{Role: roleBare, Origin: masters[0].url, Clusters: clusters})
	if err != nil {
		return "", err
	}
	structs, err := s.serving(ctx, job{Role: roleStructs, Redis: s.plan.Redis})
	if err != nil {
		return "", err
	}
	s.bare = s.contender("bare", "bare net/http", bare)
	s.ours = s.contender("master", "master", masters[0])
	s.structs = s.contender("structs", "HGET, decode, encode", structs)
	s.balanced1 = s.contender("replica1", "balancer, 1 replica", balanced[0], masters[0])
	s.balanced3 = s.contender("replica3", "balancer, 3 replicas", balanced[1], masters...)
	for _, c := range []contender{s.bare, s.ours, s.structs, s.balanced1, s.balanced3} {
		if err := s.shown(ctx, c); err != nil {
			return "", err
		}
	}
	return kind, nil
}

func (s *dashboardStage) contender(id, what string, front *child, behind ...*child) contender {
	c := contender{id: id, what: what, url: front.url}
	for _, b := range append([]*child{front}, behind...) {
		c.processes = append(c.processes, b.pid)
	}
	c.processes = append(c.processes, s.redisPID)
	return c
}

// shown waits until a contender answers, and checks that each answer, plain and
// compressed, is byte for byte what the cluster published.
func (s *dashboardStage) shown(ctx context.Context, c contender) error {
	for _, world := range s.worlds {
		for _, header := range []map[string]string{nil, {"Accept-Encoding": "gzip"}} {
			r := request{url: c.url + nodesURI(world.Cluster), header: header}
			var body []byte
			err := until(ctx, c.id+" answers for "+world.Cluster, func() (err error) {
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
			if _, err := world.CheckSection(model.SectionMetricsNodes, got); err != nil {
				return fmt.Errorf("%s: %w", c.id, err)
			}
		}
	}
	return nil
}

// group is contenders that are measured in turns.
type group struct {
	id         string
	title      string
	contenders []contender
	nodes      int
	callers    int
	ask        request // without its url
	target     bool    // its ratios are targets
}

// targetCallers is the number of connections that targets are for.
const targetCallers = 16

func (s *dashboardStage) groups() []group {
	all := []contender{s.bare, s.ours, s.structs, s.balanced1, s.balanced3}
	var groups []group
	for _, nodes := range s.plan.Nodes {
		for _, callers := range s.plan.Connections {
			groups = append(groups, group{
				id: fmt.Sprintf("a/%d/%d", nodes, callers), title: fmt.Sprintf("%d nodes, %d connections", nodes, callers),
				contenders: all, nodes: nodes, callers: callers, target: callers == targetCallers,
			})
		}
		callers := s.plan.Connections[0]
		if slices.Contains(s.plan.Connections, targetCallers) {
			callers = targetCallers
		}
		for _, g := range []group{
			{id: "gzip", title: "gzip", ask: request{header: map[string]string{"Accept-Encoding": "gzip"}}},
			{id: "304", title: "If-None-Match, 304", ask: request{conditional: true}},
		} {
			g.id, g.title = fmt.Sprintf("a/%d/%s", nodes, g.id), fmt.Sprintf("%d nodes, %d connections, %s", nodes, callers, g.title)
			g.contenders, g.nodes, g.callers = all[:2], nodes, callers
			groups = append(groups, g)
		}
	}
	return groups
}

// measure lets the contenders take turns, in another order each round, so that what
// else the machine does hits all alike.
func (s *dashboardStage) measure(ctx context.Context, g group) (map[string][]sample, error) {
	if err := s.plan.say("dashboards: %s", g.title); err != nil {
		return nil, err
	}
	rounds := make(map[string][]sample)
	for round := range s.plan.Rounds {
		for i := range g.contenders {
			c := g.contenders[(i+round)%len(g.contenders)]
			ask := g.ask
			ask.url = c.url + nodesURI(clusterOfSize(g.nodes))
			got, err := loop{callers: g.callers, length: s.plan.Length, processes: c.processes, open: ask.open}.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.id, err)
			}
			rounds[c.id] = append(rounds[c.id], got)
		}
	}
	return rounds, nil
}

// serversPerCall is the processor time of all processes but the redis-server.
func serversPerCall(s sample) float64 {
	places := make([]int, len(s.used)-1)
	for i := range places {
		places[i] = i
	}
	return s.perCall(places...)
}

func redisPerCall(s sample) float64 { return s.perCall(len(s.used) - 1) }

func (g group) rows(t *Table, rounds map[string][]sample) {
	bare := rounds["bare"]
	for _, c := range g.contenders {
		own := rounds[c.id]
		cells := []string{
			g.title + ": " + c.what,
			number(over(own, sample.perSecond)), number(over(own, sample.p50)), number(over(own, sample.p99)),
			number(over(own, serversPerCall)), number(over(own, redisPerCall)), number(over(own, sample.clientPerCall)),
		}
		if c.id != "bare" {
			cells = append(cells, number(ratio(own, bare, sample.perSecond)), number(ratio(own, bare, sample.p99)), number(ratio(own, bare, serversPerCall)))
		}
		t.add(g.id+"/"+c.id, cells...)
	}
}

func (g group) targets(rounds map[string][]sample) []bench.Target {
	if !g.target {
		return nil
	}
	ours, bare := rounds["master"], rounds["bare"]
	return []bench.Target{
		{Name: g.id + ": requests/s, master / bare, " + g.title, Value: ratio(ours, bare, sample.perSecond), Limit: 0.85, AtLeast: true},
		{Name: g.id + ": p99, master / bare, " + g.title, Value: ratio(ours, bare, sample.p99), Limit: 1.3},
	}
}

// redisPID is the process of a redis-server on this machine.
func redisPID(ctx context.Context, url string) (pid int, err error) {
	clients, err := conn.Open(conn.Config{URL: url}) //nolint:contextcheck // it keeps the clock in step until Close
	if err != nil {
		return 0, err
	}
	defer func() { err = firstError(err, clients.Close()) }()
	return readInfo(ctx, clients).pid()
}
