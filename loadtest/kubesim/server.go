// Package kubesim simulates the API server of a Kubernetes cluster, for demos and for
// tests of what talks to one: over HTTP on a loopback address it answers LIST, WATCH
// and GET of the kinds that an agent follows, in JSON or protobuf, as objects or as
// metadata only, and lets clients write leases. What the cluster is made of, the
// process that runs it says with Apply and Delete; package world has a cluster to say.
//
// It is not an API server. There are no controllers, no admission, no validation, no
// defaults: what was applied is what is served. There is no authentication, no
// authorization and no TLS, so it listens on loopback addresses only. Selectors,
// tables, discovery, sub-resources, patches, deletions by HTTP and lists of earlier
// versions are refused or missing, and nothing lies on disk. What it does have is
// exact: versions grow with each change, a watch misses none, a list can be watched
// on from, bookmarks and the initial events of streaming lists come as client-go wants
// them, and a version whose changes are forgotten is answered with 410 Expired.
package kubesim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"

	"github.com/atlhyper/observe/shared/httpserver"
)

// Config says how a Server serves. The zero value of a field means its default.
type Config struct {
	// Listen is the loopback address, host:port; port 0 takes a free one. Required.
	Listen string
	// History is how many changes a watch can begin before, at least. Default 10,000.
	History int
	// BookmarkEvery is between two bookmarks of a watch. Default 1 minute.
	BookmarkEvery time.Duration
	// Clock tells when what clients create was created. Default time.Now.
	Clock func() time.Time
	// OnListen, if set, is told the address once connections are accepted.
	OnListen func(net.Addr)
	// Logger gets how watches end, at debug. Default: nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.History == 0 {
		c.History = 10_000
	}
	if c.BookmarkEvery == 0 {
		c.BookmarkEvery = time.Minute
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.OnListen == nil {
		c.OnListen = func(net.Addr) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %q is no host:port", c.Listen)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("listen: %q is no loopback address", host)
	}
	if c.History < 0 || c.BookmarkEvery < 0 {
		return errors.New("history and bookmark-every must not be negative")
	}
	return nil
}

// Server is a simulated API server. Its methods may be called from several goroutines.
type Server struct {
	cfg     Config
	scheme  *runtime.Scheme
	codecs  runtime.NegotiatedSerializer
	decoder runtime.Decoder
	byKind  map[schema.GroupVersionKind]*resource
	store   *store
	ending  chan struct{}
}

// New makes a Server that has no objects.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("kubesim: %w", err)
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	codecs := serializer.NewCodecFactory(scheme)
	s := &Server{
		cfg: cfg, scheme: scheme, codecs: codecs.WithoutConversion(), decoder: codecs.UniversalDeserializer(),
		byKind: make(map[schema.GroupVersionKind]*resource), store: newStore(cfg.History), ending: make(chan struct{}),
	}
	for _, of := range resources() {
		s.byKind[of.gvk()] = of
	}
	return s, nil
}

// drain bounds how long requests may finish at the end.
const drain = 10 * time.Second

// Run serves until ctx is done, then ends all watches. It is called once.
func (s *Server) Run(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("kubesim: %w", err)
	}
	s.cfg.OnListen(listener.Addr())
	stop := context.AfterFunc(ctx, func() { close(s.ending) })
	defer stop()
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
	}
	if err := httpserver.Run(ctx, server, listener, drain); err != nil {
		return fmt.Errorf("kubesim: %w", err)
	}
	return nil
}

// handler routes: each row of the table has its own paths.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, of := range s.byKind {
		collection, one := s.collection(of), s.one(of)
		mux.HandleFunc(of.path()+"/"+of.Resource, collection)
		if of.namespaced {
			in := of.path() + "/namespaces/{namespace}/" + of.Resource
			mux.HandleFunc(in, collection)
			mux.HandleFunc(in+"/{name}", one)
		} else {
			mux.HandleFunc(of.path()+"/"+of.Resource+"/{name}", one)
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, "", "the server could not find the requested resource", 0, true))
	})
	return mux
}

// collection serves lists, watches and creations.
func (s *Server) collection(of *resource) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		namespace := r.PathValue("namespace")
		if r.Method == http.MethodPost && of.writable && (namespace != "" || !of.namespaced) {
			s.put(w, r, of)
			return
		}
		if r.Method != http.MethodGet {
			s.fail(w, apierrors.NewMethodNotSupported(of.GroupResource(), r.Method))
			return
		}
		m, err := s.negotiate(r)
		if err != nil {
			s.fail(w, err)
			return
		}
		opts, err := readOptions(r.URL.Query())
		switch {
		case err != nil:
			s.fail(w, err)
		case opts.Watch:
			s.watch(w, r, m, of, namespace, opts)
		default:
			s.getList(w, m, of, namespace, opts)
		}
	}
}

// one serves a single object.
func (s *Server) one(of *resource) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			s.getOne(w, r, of)
		case r.Method == http.MethodPut && of.writable:
			s.put(w, r, of)
		default:
			s.fail(w, apierrors.NewMethodNotSupported(of.GroupResource(), r.Method))
		}
	}
}

// Apply puts a copy of the object where its namespace and name say. Without a UID or a
// time of creation, it gets those of the one before, or new ones.
func (s *Server) Apply(object runtime.Object) error {
	of, accessor, err := s.identify(object.DeepCopyObject())
	if err != nil {
		return err
	}
	_, err = s.store.change(of, nameOf(accessor), func(before runtime.Object) (runtime.Object, error) {
		var was metav1.Object
		if before != nil {
			if was, err = meta.Accessor(before); err != nil {
				return nil, err
			}
		}
		s.complete(accessor, was)
		copied, ok := accessor.(runtime.Object)
		if !ok {
			return nil, fmt.Errorf("kubesim: a %T is no object", object)
		}
		return copied, nil
	})
	return err
}

// Delete removes the object that has the kind, namespace and name of this one, if there
// is one.
func (s *Server) Delete(object runtime.Object) error {
	of, accessor, err := s.identify(object.DeepCopyObject())
	if err != nil {
		return err
	}
	_, err = s.store.change(of, nameOf(accessor), func(runtime.Object) (runtime.Object, error) { return nil, nil })
	return err
}

// Forget lets no watch begin before now, as when etcd has compacted its history.
func (s *Server) Forget() { s.store.compact() }

// identify says what the object is, and writes it into it.
func (s *Server) identify(object runtime.Object) (*resource, metav1.Object, error) {
	kinds, _, err := s.scheme.ObjectKinds(object)
	if err != nil {
		return nil, nil, fmt.Errorf("kubesim: %w", err)
	}
	of, ok := s.byKind[kinds[0]]
	if !ok {
		return nil, nil, fmt.Errorf("kubesim: %s is not simulated", kinds[0])
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, nil, fmt.Errorf("kubesim: %w", err)
	}
	if accessor.GetName() == "" || (accessor.GetNamespace() != "") != of.namespaced {
		return nil, nil, fmt.Errorf("kubesim: %s %q: a name is required, and a namespace where the kind has them", of.kind, nameOf(accessor))
	}
	object.GetObjectKind().SetGroupVersionKind(kinds[0])
	return of, accessor, nil
}

// complete fills in what an object does not say of itself: as the one before has it, or
// as a new one gets it.
func (s *Server) complete(object, before metav1.Object) {
	uid, created := types.UID(uuid.NewString()), metav1.NewTime(s.cfg.Clock().Truncate(time.Second))
	if before != nil {
		uid, created = before.GetUID(), before.GetCreationTimestamp()
	}
	if object.GetUID() == "" {
		object.SetUID(uid)
	}
	if at := object.GetCreationTimestamp(); at.IsZero() {
		object.SetCreationTimestamp(created)
	}
}

// Kubeconfig is the file by which clients reach a Server at the address.
func Kubeconfig(address string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: simulated
  cluster:
    server: http://%s
contexts:
- name: simulated
  context:
    cluster: simulated
    user: anyone
current-context: simulated
users:
- name: anyone
`, address)
}
