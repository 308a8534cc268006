package acl_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/acl"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/internal/flow"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

// patience bounds a flow; none that works comes near it.
const patience = 2 * time.Minute

// setUser creates the user on one server.
func setUser(t *testing.T, admin *redis.Client, rules []string) {
	t.Helper()
	args := []any{"ACL", "SETUSER"}
	for _, rule := range rules {
		args = append(args, rule)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("ACL SETUSER %s: %v", strings.Join(rules, " "), err)
	}
}

func rules(t *testing.T, cfg acl.Config) []string {
	t.Helper()
	out, err := acl.SetUser(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// as opens clients of a user whose password is its name.
func as(t *testing.T, url, user string) *conn.Clients {
	t.Helper()
	return conntest.Open(t, conn.Config{URL: url, Auth: conn.Auth{Username: user, Password: user}, ClientName: user})
}

// refused is what the user was refused, from ACL LOG.
func refused(t *testing.T, admin redis.Cmdable, user string) []string {
	t.Helper()
	log, err := admin.ACLLog(t.Context(), 128).Result()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range log {
		if entry.Username == user {
			out = append(out, entry.Reason+" "+entry.Object)
		}
	}
	return out
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// An agent and a master do everything with their rights, on every topology, and
// are refused nothing.
func TestRightsAreEnough(t *testing.T) {
	t.Parallel()
	for _, topology := range []conn.Topology{conn.Single, conn.Sentinel, conn.Cluster} {
		t.Run(string(topology), func(t *testing.T) {
			t.Parallel()
			var servers, watchers []*redistest.Server
			var url string
			sentinels := conn.Auth{}
			switch topology {
			case conn.Single:
				s := redistest.Start(t)
				servers, url = []*redistest.Server{s}, s.URL()
			case conn.Sentinel:
				s := redistest.StartSentinels(t)
				servers, watchers, url = s.Servers, s.Watchers, s.URL()
				user, err := acl.SetSentinelUser("watcher", acl.Hash("watched"))
				if err != nil {
					t.Fatal(err)
				}
				for _, w := range s.Watchers {
					setUser(t, w.Client(t), user)
				}
				sentinels = conn.Auth{SentinelUsername: "watcher", SentinelPassword: "watched"}
			case conn.Cluster:
				c := redistest.StartCluster(t)
				servers, url = c.Servers, c.URL()
			}
			for _, s := range servers {
				setUser(t, s.Client(t), rules(t, acl.Config{Role: acl.Agent, Cluster: "east", User: "agent", Password: acl.Hash("agent"), Topology: topology}))
				setUser(t, s.Client(t), rules(t, acl.Config{Role: acl.Master, User: "master", Password: acl.Hash("master"), Topology: topology}))
			}
			user := func(name string) *conn.Clients {
				auth := sentinels
				auth.Username, auth.Password = name, name
				return conntest.Open(t, conn.Config{URL: url, Auth: auth, ClientName: name})
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := flow.Run(ctx, flow.Config{
				Cluster: "east", Admin: conntest.Open(t, conn.Config{URL: url}).Normal, Agent: user("agent"), Master: user("master"),
				Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
			})
			if err != nil {
				t.Error(err)
			}
			for _, s := range append(servers, watchers...) {
				for _, name := range []string{"agent", "master", "watcher"} {
					if list := refused(t, s.Client(t), name); len(list) > 0 {
						t.Errorf("%s was refused %s", name, list)
					}
				}
			}
		})
	}
}

// Every command that is granted is missed when it is not.
func TestRightsAreNeeded(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 4)
	for _, role := range []acl.Role{acl.Agent, acl.Master} {
		for _, command := range acl.Commands(role, conn.Single) {
			t.Run(string(role)+" "+command, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				// A server of its own: one that knows the scripts needs no EVAL.
				server := redistest.Start(t)
				cfg := acl.Config{Role: role, User: "user", Password: acl.Hash("user")}
				if role == acl.Agent {
					cfg.Cluster = "east"
				}
				setUser(t, server.Client(t), append(rules(t, cfg), "-"+command))
				if !misses(t, server, role, "user") {
					t.Errorf("nothing needs +%s", command)
				}
			})
		}
	}
}

// misses runs the flow until the user is refused something; false when all of it
// went well.
func misses(t *testing.T, server *redistest.Server, role acl.Role, user string) bool {
	t.Helper()
	admin := server.Client(t)
	cfg := flow.Config{Cluster: "east", Admin: admin, Agent: conntest.Open(t, conn.Config{URL: server.URL()}), Master: conntest.Open(t, conn.Config{URL: server.URL()}), Patience: 10 * time.Second, Logger: quiet()}
	restricted := as(t, server.URL(), user)
	if role == acl.Agent {
		cfg.Agent = restricted
	} else {
		cfg.Master = restricted
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- flow.Run(ctx, cfg) }()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			if len(refused(t, admin, user)) == 0 {
				t.Logf("refused nothing; %v", err)
				return false
			}
			return true
		case <-ticker.C:
			if len(refused(t, admin, user)) > 0 {
				cancel()
				<-ended
				return true
			}
		}
	}
}

// An agent of one cluster can do nothing to another one or to the list of clusters:
// not directly, not in a script, not in a transaction.
func TestAgentsAreApart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	setUser(t, admin, rules(t, acl.Config{Role: acl.Agent, Cluster: "east", User: "east", Password: acl.Hash("east")}))
	agent := as(t, server.URL(), "east").Normal
	west := key.Cluster("west")
	names := []string{
		west.Snapshot(), west.Meta(), west.Agents(), west.Commands(), west.Claimed("a"), west.Reply("x"), west.Result("x"),
		key.Clusters, "atlhyper:{east}x", "atlhyper:{eas}:meta", "other",
	}
	tries := map[string][]any{
		"HGET": {"f"}, "HSET": {"f", "v"}, "HGETALL": nil, "RPUSH": {"x"}, "LRANGE": {0, 1}, "DEL": nil, "PEXPIRE": {1000}, "SET": {"x"},
		"PUBLISH": {"x"}, "EXISTS": nil,
	}
	for _, name := range names {
		for command, rest := range tries {
			args := append([]any{command, name}, rest...)
			mustRefuse(t, command+" "+name, agent.Do(t.Context(), args...).Err())
			// In a script the key may be named or not.
			call := append([]any{"EVAL", "return redis.call(unpack(ARGV))", 0}, args...)
			mustRefuse(t, "EVAL "+command+" "+name, agent.Do(t.Context(), call...).Err())
			call = append([]any{"EVAL", "return redis.call(unpack(ARGV))", 1, name}, args...)
			mustRefuse(t, "EVAL with key "+command+" "+name, agent.Do(t.Context(), call...).Err())
		}
		own := key.Cluster("east").Commands()
		mustRefuse(t, "BLMOVE from "+name, agent.Do(t.Context(), "BLMOVE", name, own, "LEFT", "RIGHT", 1).Err())
		mustRefuse(t, "BLMOVE to "+name, agent.Do(t.Context(), "BLMOVE", own, name, "LEFT", "RIGHT", 1).Err())
	}
	for _, command := range [][]any{
		{"KEYS", "*"}, {"SCAN", 0}, {"RANDOMKEY"}, {"DBSIZE"}, {"FLUSHALL"}, {"CONFIG", "GET", "*"}, {"ACL", "LIST"}, {"ACL", "WHOAMI"},
		{"CLIENT", "LIST"}, {"MONITOR"}, {"PUBSUB", "CHANNELS"}, {"INFO"}, {"SCRIPT", "FLUSH"}, {"ZRANGE", key.Clusters, 0, -1},
		{"MULTI"}, {"SUBSCRIBE", west.Events()}, {"PSUBSCRIBE", key.EventsPattern}, {"SUBSCRIBE", west.Replies("m")}, {"SSUBSCRIBE", west.Events()},
	} {
		mustRefuse(t, fmt.Sprint(command...), agent.Do(t.Context(), command...).Err())
	}
	// A transaction, for a user that may have one.
	setUser(t, admin, []string{"east", "+multi", "+exec"})
	_, err := agent.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.HSet(t.Context(), key.Cluster("east").Meta(), "f", "v")
		p.HSet(t.Context(), west.Meta(), "f", "v")
		return nil
	})
	mustRefuse(t, "MULTI", err)
	if n, err := admin.Exists(t.Context(), names...).Result(); err != nil || n != 0 {
		t.Errorf("%d keys of others were written, error %v", n, err)
	}
}

// Why masters may hear every channel: a pattern of PSUBSCRIBE is not matched against
// those that are granted but must be one of them, and a replica's holds its name,
// which is another one in each life.
func TestPatternsAreComparedAsText(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	setUser(t, admin, append(rules(t, acl.Config{Role: acl.Master, User: "master", Password: acl.Hash("master")}),
		"resetchannels", "&"+key.EventsPattern, "&"+key.RepliesPattern("*")))
	master := as(t, server.URL(), "master").Normal
	if err := master.Do(t.Context(), "PSUBSCRIBE", key.RepliesPattern("m1")).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
		t.Errorf("a replica's pattern: %v; if Redis matches patterns, masters need not hear every channel", err)
	}
	subscription := master.PSubscribe(t.Context(), key.EventsPattern)
	if _, err := subscription.Receive(t.Context()); err != nil {
		t.Errorf("a pattern that is granted as it is: %v", err)
	}
	if err := subscription.Close(); err != nil {
		t.Error(err)
	}
}

func mustRefuse(t *testing.T, what string, err error) {
	t.Helper()
	var reply redis.Error
	if !errors.As(err, &reply) || !slices.ContainsFunc([]string{"NOPERM", "The user executing the script can't", "EXECABORT"}, func(said string) bool {
		return strings.Contains(reply.Error(), said)
	}) {
		t.Errorf("%s: %v, want a refusal", what, err)
	}
}

func TestSetUserRefusesNonsense(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]acl.Config{
		"cluster_id":  {Role: acl.Agent, Cluster: "e*"},
		"role":        {Role: "admin"},
		"user's name": {Role: acl.Master, User: "a b"},
		"topology":    {Role: acl.Master, Topology: "ring"},
		"all":         {Role: acl.Master, Cluster: "east"},
	} {
		if _, err := acl.SetUser(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %s", cfg, err, want)
		}
	}
	if _, err := acl.Plain("a b"); err == nil || strings.Contains(err.Error(), "a b") {
		t.Errorf("a password with a space: %v", err)
	}
	if _, err := acl.HashOf("abc"); err == nil {
		t.Error("a hash of three digits")
	}
	// A user without a password is not created by accident.
	list := rules(t, acl.Config{Role: acl.Master})
	args := []any{"ACL", "SETUSER"}
	for _, rule := range list {
		args = append(args, rule)
	}
	if err := redistest.Start(t).Client(t).Do(t.Context(), args...).Err(); err == nil {
		t.Error("Redis takes the placeholder for a password")
	}
}
