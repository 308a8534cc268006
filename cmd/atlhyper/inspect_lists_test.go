package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/acl"
	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/inspect"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// between checks an age in seconds against times before and after the answer.
func (r *inspected) between(what string, seconds float64, at model.Time, before, after time.Time) {
	r.t.Helper()
	t, err := at.Parse()
	r.must(err)
	const rounding = time.Millisecond
	got := time.Duration(seconds * float64(time.Second))
	if low, high := before.Sub(t)-rounding, after.Sub(t)+rounding; got < max(0, low)-clockError || got > high+clockError {
		r.t.Errorf("%s: %s is not between %s and %s", what, got, low, high)
	}
}

// number reads a field of a hash in Redis.
func number(t *testing.T, fields map[string]string, name string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(fields[name], 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// What is said of sections is what meta and the values' lengths in Redis say.
func TestInspectSections(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	long := encode(t, strings.Repeat("long ", 20_000))
	r.publish(
		snapshot.Update{Name: "plain", Data: encode(t, "x"), At: time.Now(), Took: 12 * time.Millisecond, Window: time.Hour,
			Reads: snapshot.Reads{Statements: 3, Rows: 4_000, Bytes: 50_000}},
		snapshot.Update{Name: "packed", Data: long, At: time.Now(), CompressAbove: 1, Interval: time.Hour},
		snapshot.Update{Name: "failed", Err: "said \x1b[2J\nand more"},
	)
	r.publish(snapshot.Update{Name: "packed", Err: "away", Interval: time.Hour})

	var got inspect.Sections
	before, after := r.alive(func() { got = inspect.Sections{}; r.answer(&got, "sections", "-c", "east") })
	meta, err := r.admin.HGetAll(t.Context(), east.Meta()).Result()
	r.must(err)
	want := inspect.Sections{
		ClusterID: "east", Status: "online",
		Snapshot: inspect.Snapshot{State: "live", Seq: number(t, meta, key.MetaSeq), PublishedAt: model.NewTime(time.UnixMilli(number(t, meta, key.MetaAt)))},
	}
	for _, name := range []string{"failed", "packed", "plain"} {
		s := inspect.Section{
			Name: name, IntervalSeconds: float64(number(t, meta, key.MetaInterval)) / 1000, TookMs: number(t, meta, name+".took_ms"),
			StoredBytes: r.admin.HStrLen(t.Context(), east.Snapshot(), name).Val(), Codec: meta[name+".codec"],
			Error: meta[name+".error"], Stale: meta[name+".error"] != "",
		}
		for field, to := range map[string]*int64{
			"seq": &s.Seq, "bytes": &s.Bytes, "window": &s.WindowSeconds, "statements": &s.Statements, "rows_read": &s.RowsRead, "bytes_read": &s.BytesRead,
		} {
			if meta[name+"."+field] != "" {
				*to = number(t, meta, name+"."+field)
			}
		}
		if ms := meta[name+".interval_ms"]; ms != "" {
			s.IntervalSeconds = float64(number(t, meta, name+".interval_ms")) / 1000
		}
		if meta[name+".at"] != "" {
			s.At = model.NewTime(time.UnixMilli(number(t, meta, name+".at")))
		}
		want.Sections = append(want.Sections, s)
	}
	for i := range got.Sections {
		s := &got.Sections[i]
		if s.At != "" {
			r.between(s.Name, s.AgeSeconds, s.At, before, after)
		}
		s.AgeSeconds = 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	packed, plain := got.Sections[1], got.Sections[2]
	if packed.Codec != "zstd" || packed.Bytes != int64(len(long)) || packed.StoredBytes >= packed.Bytes || plain.StoredBytes != plain.Bytes || plain.Statements != 3 {
		t.Errorf("sizes: %+v, %+v", packed, plain)
	}

	out, _, err := r.run("sections", "-c", "east")
	r.must(err)
	for _, line := range []string{
		`failed +failed +never +1m0s +0 +0 +- +0 +0ms +said \\x1b\[2J\\nand more`,
		fmt.Sprintf(`packed +failed +\S+ +1h0m0s +%d +%d +zstd +%d +0ms +away`, packed.StoredBytes, packed.Bytes, packed.Seq),
		fmt.Sprintf(`plain +fresh +\S+ +1m0s +%d +%d +- +%d +12ms +-`, plain.StoredBytes, plain.Bytes, plain.Seq),
	} {
		mustMatch(t, out, line)
	}
}

func mustMatch(t *testing.T, out, line string) {
	t.Helper()
	if !regexp.MustCompile("(?m)^" + line + "$").MatchString(out) {
		t.Errorf("no line %s in\n%s", line, out)
	}
	if strings.ContainsAny(out, "\x1b\a\u009b\u202e") {
		t.Errorf("control characters: %q", out)
	}
}

// Agents and clusters are as the beats and the list in Redis say; those that no master
// has listed are found.
func TestInspectClustersAndAgents(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	r.publish(snapshot.Update{Name: "a", Data: encode(t, 1), At: time.Now()}, snapshot.Update{Name: "b", Err: "away"})
	old, err := beat.Beat{Version: "v1 \x1b[31m", Slots: 4, Busy: 1}.Value(r.now().Add(-time.Minute))
	r.must(err)
	r.must(r.admin.HSet(t.Context(), east.Agents(), "a0", old).Err())
	r.must(r.admin.RPush(t.Context(), east.Commands(), "x", "y").Err())
	reader := snapshot.NewReader(r.clients, snapshot.ReaderConfig{GatherInterval: 10 * time.Millisecond})
	gathering, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- reader.Gather(gathering) }()
	redistest.Eventually(t, "east is listed", func() bool { return r.admin.ZScore(t.Context(), key.Clusters, "east").Val() > 0 })
	stop()
	r.must(<-done)
	// West has an agent, no master has seen it, and its queue is no list.
	r.must(r.admin.Set(t.Context(), key.Cluster("west").Commands(), "x", 0).Err())

	var agents inspect.Agents
	var out string
	before, after := r.alive(func() {
		agents = inspect.Agents{}
		r.answer(&agents, "agents", "-c", "east")
		out, _, err = r.run("agents", "-c", "east")
		r.must(err)
	})
	values, err := r.admin.HGetAll(t.Context(), east.Agents()).Result()
	r.must(err)
	want := inspect.Agents{ClusterID: "east", Status: "online"}
	for _, instance := range []string{"a0", "a1"} {
		b, at, err := beat.Decode(values[instance])
		r.must(err)
		state := map[string]string{"a0": "offline", "a1": "live"}[instance]
		want.Agents = append(want.Agents, inspect.Agent{
			Instance: instance, Version: b.Version, State: state, StartedAt: model.NewTime(b.StartedAt), LastBeat: model.NewTime(at),
			Slots: b.Slots, Busy: b.Busy, Publishes: instance == r.admin.HGet(t.Context(), east.Meta(), key.MetaAgent).Val(),
		})
	}
	for i := range agents.Agents {
		r.between(agents.Agents[i].Instance, agents.Agents[i].BeatAgeSeconds, agents.Agents[i].LastBeat, before, after)
		agents.Agents[i].BeatAgeSeconds = 0
	}
	if diff := cmp.Diff(want, agents); diff != "" {
		t.Error(diff)
	}
	mustMatch(t, out, `a0 +offline +1m\S+ +v1 \\x1b\[31m +- +1 of 4 +-`)
	mustMatch(t, out, `a1 +live +\S+ +v1\.2\.3 +\S+ +3 of 16 +yes`)

	var clusters inspect.Clusters
	before, after = r.alive(func() {
		beaten, err := beat.Beat{}.Value(r.now())
		r.must(err)
		r.must(r.admin.HSet(t.Context(), key.Cluster("west").Agents(), "a1", beaten).Err())
		clusters = inspect.Clusters{}
		r.answer(&clusters, "clusters")
		out, _, err = r.run("clusters")
		r.must(err)
	})
	two := int64(2)
	seq := r.admin.HGet(t.Context(), east.Meta(), key.MetaSeq).Val()
	wantClusters := inspect.Clusters{Clusters: []inspect.Cluster{
		{ID: "east", Status: "online", Listed: true, AgentCount: 2, LiveAgents: 1, Snapshot: inspect.Snapshot{State: "live", Seq: number(t, map[string]string{"seq": seq}, "seq")},
			SectionCount: 2, StaleSections: 1, Waiting: &two},
		{ID: "west", Status: "stale", AgentCount: 1, LiveAgents: 1, Snapshot: inspect.Snapshot{State: "none"}, Error: "atlhyper:{west}:commands is not a list"},
	}}
	for i := range clusters.Clusters {
		c := &clusters.Clusters[i]
		r.between(c.ID, c.LastSeenSeconds, c.LastSeen, before, after)
		c.LastSeen, c.LastSeenSeconds, c.Snapshot.PublishedAt = "", 0, ""
	}
	if diff := cmp.Diff(wantClusters, clusters); diff != "" {
		t.Error(diff)
	}
	mustMatch(t, out, `east +online +\S+ +1 of 2 live +live +`+seq+` +2, 1 stale +2 +-`)
	mustMatch(t, out, `west +stale +\S+ +1 of 1 live +none +0 +0 +\? +no master has listed it; atlhyper:\{west\}:commands is not a list`)
}

// command pushes a command as a master would.
func (r *inspected) command(list string, cmd bus.Command) {
	r.t.Helper()
	r.must(r.admin.RPush(r.t.Context(), list, encode(r.t, cmd)).Err())
}

// The queue is what lies in the list, with what people searched for only when it is
// asked for; what no agent can read is shown as that.
func TestInspectQueue(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	r.publish()
	client, err := bus.NewClient(r.clients, bus.ClientConfig{Replica: "m1"})
	r.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan error, 1)
	search := map[string]any{"query": "secret \x1b[2J"}
	go func() {
		_, err := client.Do(ctx, east, bus.Request{Kind: detail.KindLogs, Params: encode(t, search), Timeout: time.Minute})
		asked <- err
	}()
	redistest.Eventually(t, "the command is there", func() bool { return r.admin.LLen(t.Context(), east.Commands()).Val() == 1 })
	r.command(east.Commands(), bus.Command{
		V: bus.Version, ID: "late", Kind: "kind \x1b[2J", Replica: strings.Repeat("r", 1000), Params: encode(t, 1), Deadline: 1,
	})
	r.command(east.Commands(), bus.Command{V: 77, ID: "newer", Replica: "m2"})
	r.must(r.admin.RPush(t.Context(), east.Commands(), "\xc1 no command", strings.Repeat("x", bus.MaxCommandBytes+1)).Err())

	var got, params, two inspect.Queue
	r.answer(&got, "queue", "-c", "east")
	r.answer(&params, "queue", "-c", "east", "--params")
	r.answer(&two, "queue", "-c", "east", "--limit", "2")
	raw, err := r.admin.LRange(t.Context(), east.Commands(), 0, -1).Result()
	r.must(err)
	first, err := bus.DecodeCommand([]byte(raw[0]))
	r.must(err)
	if got.Waiting != int64(len(raw)) || len(got.Commands) != len(raw) || two.Waiting != got.Waiting || len(two.Commands) != 2 {
		t.Fatalf("%d commands, of which 2 are %+v: %+v", len(raw), two, got)
	}
	for i, c := range got.Commands {
		if c.Bytes != int64(len(raw[i])) || c.Params != nil {
			t.Errorf("%d bytes are %+v", len(raw[i]), c)
		}
	}
	c := got.Commands[0]
	if c.ID != first.ID || c.Kind != "logs" || c.Replica != "m1" || c.Error != "" || c.Deadline != model.NewTime(time.UnixMilli(first.Deadline)) ||
		c.LeftSeconds <= 0 || c.LeftSeconds > (time.Minute+clockError).Seconds() {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff(parseJSON(t, `{"query":"secret \u001b[2J"}`), parseJSON(t, string(params.Commands[0].Params))); diff != "" {
		t.Error(diff)
	}
	if c := got.Commands[1]; c.ID != "late" || len(c.Replica) > 70 || c.LeftSeconds > -1e6 {
		t.Errorf("%+v", c)
	}
	for i, says := range []string{2: "version 77", 3: "command: ", 4: "65537 bytes are not between"} {
		if !strings.Contains(got.Commands[i].Error, says) {
			t.Errorf("%+v does not say %q", got.Commands[i], says)
		}
	}

	out, _, err := r.run("queue", "-c", "east", "--limit", "3")
	r.must(err)
	mustMatch(t, out, first.ID+` +logs +\S+s +m1 +`+strconv.Itoa(len(raw[0]))+` +-`)
	mustMatch(t, out, `late +kind \\x1b\[2J +-\S+ +r+… +\d+ +-`)
	mustMatch(t, out, `newer +- +\S+ +m2 +\d+ +command: unknown version 77.*`)
	mustMatch(t, out, `2 more wait\.`)
	if strings.Contains(out, "secret") {
		t.Errorf("shows what was searched for:\n%s", out)
	}
	out, _, err = r.run("queue", "-c", "east", "--params")
	r.must(err)
	mustMatch(t, out, first.ID+` .* \{"query":"secret \\u001b\[2J"\}`)
	for _, limit := range []string{"-1", "1001"} {
		if _, _, err := r.run("queue", "-c", "east", "--limit="+limit); err == nil || !strings.Contains(err.Error(), "limit: "+limit) {
			t.Errorf("limit %s: %v", limit, err)
		}
	}
	// Nothing was taken, nor changed.
	if again := r.admin.LRange(t.Context(), east.Commands(), 0, -1).Val(); !cmp.Equal(raw, again) {
		t.Error("the list is another one than before")
	}
	cancel()
	<-asked
}

// Claims are those of agents that live, that stopped beating, that left, and those that
// nothing else tells of.
func TestInspectClaims(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	r.publish()
	now := r.now()
	old, err := beat.Beat{}.Value(now.Add(-time.Minute))
	r.must(err)
	r.must(r.admin.HSet(t.Context(), east.Agents(), "a0", old).Err())
	for _, instance := range []string{"a0", "a1", "a3"} {
		for n := range 2 {
			r.command(east.Claimed(instance), bus.Command{
				V: bus.Version, ID: fmt.Sprintf("%s-%d", instance, n), Kind: detail.KindTrace, Replica: "m1",
				Params: encode(t, "secret"), Deadline: now.Add(time.Minute).UnixMilli(),
			})
		}
	}
	r.must(r.admin.Set(t.Context(), east.Claimed("a2"), "left", time.Minute).Err())
	r.must(r.admin.RPush(t.Context(), east.Claimed("A \x1b"), "x").Err())

	var out, notes string
	r.alive(func() {
		out, notes, err = r.run("claims", "-c", "east", "--limit", "1")
		r.must(err)
	})
	for instance, state := range map[string]string{"a0": "offline", "a1": "live", "a3": "gone"} {
		mustMatch(t, out, instance+" +"+state+" +"+instance+`-0 +trace +\S+ +m1 +\d+ +-`)
		mustMatch(t, out, `Agent `+instance+` has 1 more\.`)
	}
	mustMatch(t, out, `a2 +left +-`)
	if strings.Contains(out, "secret") || !strings.Contains(notes, `\x1b`) || strings.Contains(notes, "\x1b") {
		t.Errorf("%s\n%q", out, notes)
	}
	var got inspect.Claims
	r.answer(&got, "claims", "-c", "east", "--params")
	for _, claim := range got.Claims {
		if claim.State == "left" {
			continue
		}
		raw, err := r.admin.LRange(t.Context(), east.Claimed(claim.Agent), 0, -1).Result()
		r.must(err)
		if claim.Claimed != int64(len(raw)) || len(claim.Commands) != len(raw) {
			t.Fatalf("%+v, want %d commands", claim, len(raw))
		}
		for i, c := range claim.Commands {
			cmd, err := bus.DecodeCommand([]byte(raw[i]))
			r.must(err)
			if c.ID != cmd.ID || string(c.Params) != `"secret"` {
				t.Errorf("%+v, want %s", c, cmd.ID)
			}
		}
	}
}

// What a document holds is there when nothing else is: lists are empty, not null.
func TestInspectNothing(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	out, _, err := r.run("clusters", "--output", "json")
	if err != nil || !cmp.Equal(parseJSON(t, out), map[string]any{"clusters": []any{}}) {
		t.Errorf("%s, %v", out, err)
	}
	for _, command := range []string{"sections", "agents", "queue", "claims"} {
		if out, _, err := r.run(command, "-c", "east"); err == nil || out != "" || !strings.Contains(err.Error(), "no cluster east was ever seen") {
			t.Errorf("%s: %q, %v", command, out, err)
		}
	}
	r.must(r.writer.Beat(t.Context(), snapshot.Beat{}))
	for command, field := range map[string]string{"sections": "sections", "agents": "", "queue": "commands", "claims": ""} {
		var got map[string]json.RawMessage
		r.answer(&got, command, "-c", "east")
		if field != "" && string(got[field]) != "[]" {
			t.Errorf("%s: %s", command, got)
		}
	}
	out, _, err = r.run("sections", "-c", "east")
	r.must(err)
	mustMatch(t, out, `The snapshot is none; last published: never\.`)
}

// Who may not read is told where the rights are from; with them everything can be read.
func TestInspectRights(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	r.publish(snapshot.Update{Name: "a", Data: encode(t, 1), At: time.Now()})
	for _, role := range []acl.Role{acl.Inspect, acl.Master} {
		rules, err := acl.SetUser(acl.Config{Role: role, User: string(role), Password: acl.Hash("secret"), Topology: conn.Single})
		r.must(err)
		set := []any{"ACL", "SETUSER"}
		for _, rule := range rules {
			set = append(set, rule)
		}
		r.must(r.admin.Do(t.Context(), set...).Err())
	}
	as := func(user string, args ...string) error {
		_, _, err := r.run(append(args, "--redis-username", user, "--redis-password", "secret")...)
		return err
	}
	for _, args := range [][]string{
		{"clusters"}, {"sections", "-c", "east"}, {"section", "-c", "east", "a"}, {"agents", "-c", "east"}, {"queue", "-c", "east"}, {"claims", "-c", "east"},
	} {
		if err := as("inspect", args...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	r.must(r.admin.Do(t.Context(), "ACL", "SETUSER", "inspect", "-llen").Err())
	if err := as("inspect", "queue", "-c", "east"); err == nil || !strings.Contains(err.Error(), "atlhyper acl --inspect prints the rights") {
		t.Errorf("without a right: %v", err)
	}
	if err := as("nobody", "clusters"); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("as nobody: %v", err)
	}
}
