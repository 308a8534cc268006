package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/acl"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/inspect"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

const east = key.Cluster("east")

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// setUp leaves a cluster with a section and a command in Redis.
func setUp(t *testing.T, clients *conn.Clients) {
	t.Helper()
	writer, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: east, Instance: "a1"})
	must(t, err)
	must(t, writer.Beat(t.Context(), snapshot.Beat{Slots: 2}))
	_, err = writer.Publish(t.Context(), []snapshot.Update{{Name: "a", Data: []byte{7}, At: time.Now()}})
	must(t, err)
	push(t, clients, "waits")
}

// push puts a command into the queue that nobody takes.
func push(t *testing.T, clients *conn.Clients, id string) (raw []byte) {
	t.Helper()
	raw, err := codec.Encode(bus.Command{
		V: bus.Version, ID: id, Kind: detail.KindTrace, Params: codec.Raw{7}, Replica: "m1", Deadline: clients.Now().Add(time.Minute).UnixMilli(),
	})
	must(t, err)
	must(t, clients.Normal.RPush(t.Context(), east.Commands(), raw).Err())
	return raw
}

// everything asks all that can be asked, and follows a command until follow ends.
func everything(ctx, follow context.Context, i *inspect.Inspector) error {
	_, clusters := i.Clusters(ctx)
	_, sections := i.Sections(ctx, east)
	_, section := i.Section(ctx, east, "a")
	_, agents := i.Agents(ctx, east)
	_, queue := i.Queue(ctx, inspect.QueueConfig{Cluster: east})
	_, claims := i.Claims(ctx, inspect.ClaimsConfig{Cluster: east})
	followed := i.Follow(follow, inspect.FollowConfig{Cluster: east, Command: "none", See: func(inspect.Event) error { return nil }})
	return errors.Join(clusters, sections, section, agents, queue, claims, followed)
}

func setUser(t *testing.T, admin *redis.Client, rules []string) {
	t.Helper()
	args := []any{"ACL", "SETUSER"}
	for _, rule := range rules {
		args = append(args, rule)
	}
	must(t, admin.Do(t.Context(), args...).Err())
}

// refused is what the user was refused.
func refused(t *testing.T, admin *redis.Client) (out []string) {
	t.Helper()
	log, err := admin.ACLLog(t.Context(), 128).Result()
	must(t, err)
	for _, entry := range log {
		if entry.Username == "looker" {
			out = append(out, entry.Reason+" "+entry.Object)
		}
	}
	return out
}

func rules(t *testing.T, topology conn.Topology) []string {
	t.Helper()
	out, err := acl.SetUser(acl.Config{Role: acl.Inspect, User: "looker", Password: acl.Hash("secret"), Topology: topology})
	must(t, err)
	return out
}

var looker = conn.Auth{Username: "looker", Password: "secret"}

// With the rights of acl.Inspect everything can be read, and nothing changes.
func TestRightsAreEnough(t *testing.T) {
	t.Parallel()
	for _, topology := range []conn.Topology{conn.Single, conn.Cluster} {
		t.Run(string(topology), func(t *testing.T) {
			t.Parallel()
			var servers []*redistest.Server
			var url string
			if topology == conn.Cluster {
				c := redistest.StartCluster(t)
				servers, url = c.Servers, c.URL()
			} else {
				s := redistest.Start(t)
				servers, url = []*redistest.Server{s}, s.URL()
			}
			for _, s := range servers {
				setUser(t, s.Client(t), rules(t, topology))
			}
			admin := conntest.Open(t, conn.Config{URL: url})
			setUp(t, admin)
			before := contents(t, admin)
			i := inspect.New(conntest.Open(t, conn.Config{URL: url, Auth: looker, ClientName: "looker"}), inspect.Config{})
			// Again where a server of Redis Cluster did not answer within a second; what is
			// refused is in the servers' logs.
			redistest.Eventually(t, "everything is read", func() bool {
				// Long enough for a subscription that hears nothing to be asked for its health.
				follow, cancel := context.WithTimeout(t.Context(), 7*time.Second)
				defer cancel()
				err := everything(t.Context(), follow, i)
				if err != nil {
					t.Log(err)
				}
				return err == nil
			})
			for _, s := range servers {
				if list := refused(t, s.Client(t)); len(list) > 0 {
					t.Errorf("refused %s", list)
				}
			}
			if after := contents(t, admin); !slices.Equal(before, after) {
				t.Errorf("it changed\n%q\nto\n%q", before, after)
			}
		})
	}
}

// contents are all keys and values of the cluster.
func contents(t *testing.T, admin *conn.Clients) (out []string) {
	t.Helper()
	err := conn.Scan(t.Context(), admin.Normal, key.Namespace+"*", func(keys []string) error {
		for _, k := range keys {
			value, err := admin.Normal.Dump(t.Context(), k).Result()
			if err != nil {
				return err
			}
			out = append(out, k+" "+value)
		}
		return nil
	})
	must(t, err)
	slices.Sort(out)
	return slices.Compact(out)
}

// Every right that is granted is missed when it is not, and none of them writes.
func TestRightsAreNeeded(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 4)
	for _, command := range acl.Commands(acl.Inspect, conn.Single) {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			server := redistest.Start(t)
			admin := server.Client(t)
			setUp(t, conntest.Open(t, conn.Config{URL: server.URL()}))
			if !strings.HasPrefix(command, "eval") { // with it, what the others allow
				info, err := admin.Command(t.Context()).Result()
				must(t, err)
				name, _, _ := strings.Cut(command, "|")
				if slices.Contains(info[name].Flags, "write") {
					t.Errorf("%s writes", command)
				}
			}
			setUser(t, admin, append(rules(t, conn.Single), "-"+command))
			follow, stop := context.WithCancel(t.Context())
			defer stop()
			done := make(chan error, 1)
			i := inspect.New(conntest.Open(t, conn.Config{URL: server.URL(), Auth: looker, ClientName: "looker"}), inspect.Config{})
			go func() { done <- everything(t.Context(), follow, i) }()
			redistest.Eventually(t, "something is refused", func() bool { return len(refused(t, admin)) > 0 })
			stop()
			<-done
		})
	}
}

// What is refused is known as that, in scripts and by itself.
func TestMissesRight(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	setUp(t, conntest.Open(t, conn.Config{URL: server.URL()}))
	for _, command := range []string{"lindex", "zscore", "psubscribe", "evalsha"} {
		setUser(t, admin, append(rules(t, conn.Single), "-"+command))
		err := everything(t.Context(), t.Context(), inspect.New(conntest.Open(t, conn.Config{URL: server.URL(), Auth: looker}), inspect.Config{}))
		if !inspect.MissesRight(err) {
			t.Errorf("without %s: %v", command, err)
		}
	}
	if inspect.MissesRight(fmt.Errorf("NOPERM: %w", context.Canceled)) || inspect.MissesRight(nil) {
		t.Error("taken for a refusal")
	}
}
