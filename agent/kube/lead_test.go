package kube

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/atlhyper/observe/agent/kube/kubetest"
	"github.com/atlhyper/observe/shared/logtest"
)

const useless = "the agents' Lease is of no use"

// candidate is an Election that runs.
type candidate struct {
	*Election
	log   logtest.Buffer
	leave func() // ends it, and waits for that
}

// said is how often it logged the text.
func (c *candidate) said(text string) int { return strings.Count(c.log.String(), text) }

func (c *candidate) isLeader() bool {
	leads, _ := c.Leads()
	return leads
}

// campaign runs a candidate until the test ends. Its terms never end by themselves.
func campaign(t *testing.T, api *rest.Config, namespace, name string, change ...func(*ElectionConfig)) *candidate {
	t.Helper()
	c := &candidate{}
	cfg := ElectionConfig{
		API: api, Namespace: namespace, Cluster: "c1", Instance: name,
		Term: time.Hour, Renew: time.Minute, Retry: 20 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&c.log, nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if c.Election, err = NewElection(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	c.leave = func() {
		stop()
		<-ended
	}
	t.Cleanup(c.leave)
	return c
}

// leader is who holds the Lease; "" when nobody does.
func leader(t *testing.T, client kubernetes.Interface, namespace string) string {
	t.Helper()
	lease, err := client.CoordinationV1().Leases(namespace).Get(t.Context(), DefaultLease, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func TestOneAgentLeads(t *testing.T) {
	client := admin(t)
	ns := newNamespace(t, client)
	before, all := goleak.IgnoreCurrent(), []*candidate{}
	t.Cleanup(func() {
		eventually(t, "nothing of them is left", func() bool {
			for _, c := range all { // the test asks over the same connections
				utilnet.CloseIdleConnectionsFor(c.http.Transport)
			}
			return goleak.Find(before, goleak.IgnoreAnyFunction(process)) == nil
		})
	})
	candidates := make(map[string]*candidate)
	for _, name := range []string{"a", "b", "c"} {
		c := campaign(t, server.Admin(), ns, name)
		candidates["c1/"+name], all = c, append(all, c)
	}
	for len(candidates) > 0 {
		var first string
		eventually(t, "the leader leads, and nobody else", func() bool {
			first = leader(t, client, ns)
			for name, c := range candidates {
				if c.isLeader() != (name == first) {
					return false
				}
			}
			return candidates[first] != nil
		})
		// The term is an hour: the others go on because the leader says that it leaves.
		candidates[first].leave()
		delete(candidates, first)
	}
	if last := leader(t, client, ns); last != "" {
		t.Errorf("%s left and leads", last)
	}
}

func TestLeadsTellsWhenItChanges(t *testing.T) {
	client := admin(t)
	ns := newNamespace(t, client)
	a := campaign(t, server.Admin(), ns, "a")
	eventually(t, "a leads", a.isLeader)
	b := campaign(t, server.Admin(), ns, "b")
	told := func(c *candidate, want bool) {
		t.Helper()
		limit := time.NewTimer(4 * time.Minute)
		defer limit.Stop()
		for leads, changed := c.Leads(); leads != want; leads, changed = c.Leads() {
			select {
			case <-changed:
			case <-limit.C:
				t.Fatalf("it was not told that it leads: %v", want)
			}
		}
	}
	told(b, false)
	a.leave()
	told(a, false)
	told(b, true)
	if now := leader(t, client, ns); now != "c1/b" {
		t.Errorf("%q holds the Lease", now)
	}
}

// pair is two candidates of terms that end while a test waits, each with a way of its
// own to the API server.
type pair struct {
	candidates [2]*candidate
	ways       [2]*kubetest.Proxy
}

func newPair(t *testing.T, namespace string) *pair {
	t.Helper()
	p := new(pair)
	for i := range p.candidates {
		way, through := server.Proxy(t, server.Admin())
		p.ways[i] = way
		p.candidates[i] = campaign(t, through, namespace, strconv.Itoa(i), func(c *ElectionConfig) { c.Term, c.Renew = 4*time.Second, 3*time.Second })
	}
	return p
}

// leading waits until one leads, and returns which.
func (p *pair) leading(t *testing.T) int {
	t.Helper()
	first := 0
	eventually(t, "one of two leads", func() bool {
		second := p.candidates[1].isLeader()
		if second {
			first = 1
		}
		return second != p.candidates[0].isLeader()
	})
	return first
}

// A leader that is frozen or cut off is followed by another within a term, and is
// none of several when it is back.
func TestALeaderThatIsNotHeardOf(t *testing.T) {
	client := admin(t)
	ns := newNamespace(t, client)
	p := newPair(t, ns)
	first := p.leading(t)
	a, b := p.candidates[first], p.candidates[1-first]

	p.ways[first].Hold()
	eventually(t, "the other leads", func() bool { return leader(t, client, ns) == b.identity && b.isLeader() })
	eventually(t, "the first says why it does not", func() bool { return a.said(useless) > 0 && !a.isLeader() })

	p.ways[first].Release()
	eventually(t, "the first says that all is well", func() bool { return a.said("the agents' Lease is of use") > 0 })
	p.leading(t)
}

// While the API server is away, or takes requests and answers none, nobody leads: Redis
// decides alone.
func TestElectionWithoutTheAPIServer(t *testing.T) {
	client := admin(t)
	for name, away := range map[string]func(*testing.T, *pair) (back func()){
		"away": func(_ *testing.T, p *pair) func() {
			for _, way := range p.ways {
				way.Hold()
			}
			return func() {
				for _, way := range p.ways {
					way.Release()
				}
			}
		},
		"frozen": func(t *testing.T, _ *pair) func() {
			t.Helper()
			return server.Freeze(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, newNamespace(t, client))
			p.leading(t)
			back := away(t, p)
			for _, c := range p.candidates {
				eventually(t, "it says why it does not lead", func() bool { return c.said(useless) > 0 && !c.isLeader() })
			}
			back()
			p.leading(t)
		})
	}
}

func TestALeaseThatIsOfNoUse(t *testing.T) {
	client := admin(t)
	for name, c := range map[string]struct {
		api  func(ns string) *rest.Config
		says string
	}{
		"forbidden":         {func(ns string) *rest.Config { return server.User(t, "nobody-of-"+ns) }, "forbidden"},
		"another cluster's": {func(string) *rest.Config { return server.Admin() }, "c1/a holds it, which is no agent of c2"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := newNamespace(t, client)
			campaign(t, server.Admin(), ns, "a")
			eventually(t, "a leads", func() bool { return leader(t, client, ns) == "c1/a" })
			b := campaign(t, c.api(ns), ns, "b", func(cfg *ElectionConfig) { cfg.Cluster = "c2" })
			eventually(t, "it is said", func() bool { return b.said(useless) > 0 })
			if b.isLeader() {
				t.Error("b leads")
			}
			if b.said(useless) != 1 || b.said(c.says) != 1 {
				t.Errorf("the log does not say once that %q:\n%s", c.says, b.log.String())
			}
		})
	}
	t.Run("no namespace", func(t *testing.T) {
		c := campaign(t, server.Admin(), "nowhere", "a")
		eventually(t, "it is said", func() bool { return c.said(`namespaces \"nowhere\" not found`) == 1 })
	})
}

// A term ends as long after the request that began it, whatever came of later ones, and
// whenever that is noticed.
func TestATermEnds(t *testing.T) {
	t.Parallel()
	e, err := NewElection(ElectionConfig{API: &rest.Config{Host: "http://127.0.0.1:1"}, Cluster: "c1", Instance: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.expiry.Stop()
	leads := func(want bool, when string) {
		t.Helper()
		if got, _ := e.Leads(); got != want {
			t.Errorf("%s: it leads: %v", when, got)
		}
	}
	leads(false, "before it began")
	e.holds(time.Now().Add(-DefaultTerm))
	leads(false, "renewed by a request that took a term")
	e.holds(time.Now())
	leads(true, "renewed now")
	_, changed := e.Leads()
	e.mu.Lock()
	e.until = time.Now() // as if the process had stood still
	e.mu.Unlock()
	leads(false, "after its term")
	select {
	case <-changed:
	default:
		t.Error("the end is not told")
	}
	e.holds(time.Now())
	e.lost()
	leads(false, "when another one holds the Lease")
}

func TestElectionConfig(t *testing.T) {
	t.Parallel()
	valid := ElectionConfig{API: &rest.Config{Host: "http://127.0.0.1:1"}, Cluster: "c1", Instance: "a"}
	if e, err := NewElection(valid); err != nil {
		t.Error(err)
	} else if leads, _ := e.Leads(); leads {
		t.Error("it leads before it runs")
	}
	for name, c := range map[string]struct {
		change func(*ElectionConfig)
		says   string
	}{
		"no API":           {func(c *ElectionConfig) { c.API = nil }, "required"},
		"no cluster":       {func(c *ElectionConfig) { c.Cluster = "" }, "required"},
		"no instance":      {func(c *ElectionConfig) { c.Instance = "" }, "required"},
		"parts of seconds": {func(c *ElectionConfig) { c.Term = 15*time.Second + 1 }, "whole seconds"},
		"slow renewals":    {func(c *ElectionConfig) { c.Renew = c.Term }, "leaseDuration must be greater"},
		"slow retries":     {func(c *ElectionConfig) { c.Retry = 10 * time.Second }, "renewDeadline must be greater"},
		"no address":       {func(c *ElectionConfig) { c.API = &rest.Config{Host: "http://%"} }, "kube: election"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := valid
			cfg.Term = DefaultTerm
			c.change(&cfg)
			if _, err := NewElection(cfg); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestNamespace(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kubeconfig := func(context string) string {
		return write("config-"+context, fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u%s}}, {name: there, context: {cluster: c, user: u, namespace: wrong}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
`, context))
	}
	none := filepath.Join(dir, "none")
	for name, c := range map[string]struct {
		env, kubeconfig, file string
		want                  string // "" is an error
	}{
		"the environment's":          {"env", kubeconfig(", namespace: ctx"), write("sa", "pod\n"), "env"},
		"the context's":              {"", kubeconfig(", namespace: ctx"), write("sa", "pod\n"), "ctx"},
		"a context without one":      {"", kubeconfig(""), none, "default"},
		"the service account's":      {"", "", write("sa", "pod\n"), "pod"},
		"nobody's":                   {"", "", none, "default"},
		"a kubeconfig that is none":  {"", write("bad", "{"), none, ""},
		"a file that cannot be read": {"", "", dir, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", c.env)
			got, err := namespace(c.kubeconfig, c.file)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}
