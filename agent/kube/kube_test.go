package kube

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/atlhyper/observe/agent/kube/kubetest"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

var (
	withServer = flag.Bool("kube", false, "run the tests that need an API server; see make test-kube")
	// server is nil until a test asks for it: fuzzing starts this binary many times.
	server *kubetest.Server
	start  sync.Once
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	code := m.Run()
	if server != nil {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// admin is a client that may do everything; without -kube the test is skipped.
func admin(t *testing.T) kubernetes.Interface {
	t.Helper()
	if !*withServer {
		t.Skip("make test-kube runs it")
	}
	var err error
	start.Do(func() { server, err = kubetest.Start() })
	if server == nil {
		t.Fatalf("no API server: %v", err)
	}
	return server.Client(t)
}

// process waits for what kubetest has started again.
const process = "sigs.k8s.io/controller-runtime/pkg/internal/testing/process.(*State).Start.func1"

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// clock shows the real time and what is added.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// follow runs a Cluster until the test ends. Unless change says otherwise, its patience
// outlasts what a busy machine may do.
func follow(t *testing.T, api *rest.Config, change ...func(*Config)) *Cluster {
	t.Helper()
	cfg := Config{API: api, Patience: time.Minute, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, f := range change {
		f(&cfg)
	}
	before := goleak.IgnoreCurrent()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		// A connection may still be busy with the end of a watch when Run closes the idle ones.
		eventually(t, "nothing of it is left", func() bool {
			c.clients.close()
			return goleak.Find(before, goleak.IgnoreAnyFunction(process)) == nil
		})
	})
	return c
}

// eventually polls until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(4 * time.Minute)
	defer limit.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case <-limit.C:
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}

// ready waits until all sections have been read.
func ready(t *testing.T, c *Cluster, without ...model.Section) {
	t.Helper()
	for _, name := range c.Sections() {
		if slices.Contains(without, name) {
			continue
		}
		eventually(t, string(name)+" is read", func() bool {
			_, err := c.Section(name)
			return err == nil
		})
	}
}

// shownIn is the section's value.
func shownIn[V any](t *testing.T, c *Cluster, name model.Section) []*V {
	t.Helper()
	s, err := c.Section(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	list, ok := s.Value.([]*V)
	if !ok {
		t.Fatalf("%s is %T", name, s.Value)
	}
	return list
}

// code of the section's error; "" when there is none.
func code(c *Cluster, name model.Section) fault.Code {
	_, err := c.Section(name)
	if err == nil {
		return ""
	}
	return fault.From(err).Code
}

// remembered waits until what was written into a namespace, or into none, is in what the
// API server answers first lists from, as informers ask for it: its memory of a kind
// follows etcd a moment later.
func remembered(t *testing.T, ns string) {
	t.Helper()
	client := must[metadata.Interface](t)(metadata.NewForConfig(server.Admin()))
	for _, k := range kinds() {
		in := ns
		if slices.Contains([]string{"nodes", "namespaces", "persistentvolumes"}, k.resource.Resource) {
			in = metav1.NamespaceAll
		}
		versions := func(of string) map[types.UID]string {
			list := must[*metav1.PartialObjectMetadataList](t)(client.Resource(k.resource).Namespace(in).List(t.Context(), metav1.ListOptions{ResourceVersion: of}))
			out := make(map[types.UID]string, len(list.Items))
			for i := range list.Items {
				out[list.Items[i].UID] = list.Items[i].ResourceVersion
			}
			return out
		}
		want := versions("") // of etcd
		eventually(t, k.resource.Resource+" are remembered", func() bool { return maps.Equal(want, versions("0")) })
	}
}

// newNamespace makes a namespace for the test. There is no controller that could
// remove what is in it.
func newNamespace(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	ns, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
