// Package kubetest starts a real kube-apiserver and its etcd for the tests of a
// package, on free ports of 127.0.0.1, with envtest. There are no controllers and no
// nodes: what a cluster is made of, the tests write themselves. Connections can be cut
// and held (Proxy), the API server stopped and frozen, and etcd compacted and put back.
package kubetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/atlhyper/observe/shared/freeport"
)

// patience bounds the start and the stop of each process; one that works comes
// nowhere near it.
const patience = 3 * time.Minute

// ErrNotBuilt says that there is no kube-apiserver or no etcd.
var ErrNotBuilt = errors.New("kubetest: no kube-apiserver and etcd: make test-kube builds and runs all")

// Server is an API server and its etcd. Its methods must not be called from several
// goroutines at once.
type Server struct {
	plane *envtest.ControlPlane
	user  *envtest.AuthenticatedUser // the administrator
	admin *rest.Config               // its way in
	ports freeport.Ports             // also while it is stopped
	dir   string
}

// Assets is the folder of kube-apiserver and etcd: KUBEBUILDER_ASSETS, or where
// loadtest/setup.sh puts them. The error is ErrNotBuilt when they are not there.
func Assets() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		cache := os.Getenv("ATLHYPER_CACHE")
		if cache == "" {
			home, err := os.UserCacheDir()
			if err != nil {
				return "", errors.Join(ErrNotBuilt, err)
			}
			cache = filepath.Join(home, "atlhyper-observe")
		}
		dir = filepath.Join(cache, "kube")
	}
	for _, name := range []string{"kube-apiserver", "etcd"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", errors.Join(ErrNotBuilt, err)
		}
	}
	return dir, nil
}

// Start starts the processes and waits until the API server answers. It is for a
// TestMain: one server per test binary, since a start takes seconds. Stop must be
// called.
func Start() (*Server, error) {
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kubetest")
	if err != nil {
		return nil, fmt.Errorf("kubetest: %w", err)
	}
	s := &Server{plane: &envtest.ControlPlane{}, dir: dir}
	if err := s.start(assets); err != nil {
		return nil, errors.Join(fmt.Errorf("kubetest: %w", err), s.Stop())
	}
	return s, nil
}

func (s *Server) start(assets string) error {
	api := s.plane.GetAPIServer()
	s.plane.Etcd = &envtest.Etcd{}
	var err error
	if s.plane.Etcd.Path, err = bound(assets, s.dir, "etcd"); err != nil {
		return err
	}
	if api.Path, err = bound(assets, s.dir, "kube-apiserver"); err != nil {
		return err
	}
	port, err := s.ports.Hold()
	if err != nil {
		return err
	}
	s.plane.Etcd.URL = &url.URL{Scheme: "http", Host: port.Addr()}
	if port, err = s.ports.Hold(); err != nil {
		return err
	}
	if api.Address, api.Port, err = net.SplitHostPort(port.Addr()); err != nil {
		return err
	}
	// Nobody is to find it: etcd takes any port that is free when it listens.
	s.plane.Etcd.Configure().Set("listen-peer-urls", "http://127.0.0.1:0")
	s.plane.Etcd.StartTimeout, s.plane.Etcd.StopTimeout = patience, patience
	api.StartTimeout, api.StopTimeout = patience, patience
	// Certificates and data outlive a restart only in folders that were named.
	api.CertDir, s.plane.Etcd.DataDir = filepath.Join(s.dir, "certificates"), filepath.Join(s.dir, "data")
	for _, dir := range []string{api.CertDir, s.plane.Etcd.DataDir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	// Without it, the end of a server waits a minute for watches that nobody closes.
	api.Configure().Set("shutdown-watch-termination-grace-period", "1s")
	if err := s.plane.Start(); err != nil {
		return err
	}
	user, err := s.plane.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, &rest.Config{QPS: -1})
	if err != nil {
		return err
	}
	s.user, s.admin = user, user.Config()
	return s.ready()
}

// ready waits until the API server has written what it writes at its first start.
// The last of it is where the service is that all clusters have, which comes after it
// says that it is ready.
func (s *Server) ready() error {
	client, err := kubernetes.NewForConfig(s.admin)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			_, err = client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
		}
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the API server does not get ready: %w", err)
		}
	}
}

// Stop ends the processes and removes their files.
func (s *Server) Stop() error {
	return errors.Join(s.plane.Stop(), s.ports.Close(), os.RemoveAll(s.dir))
}

// Admin may do everything.
func (s *Server) Admin() *rest.Config { return rest.CopyConfig(s.admin) }

// User may do what roles that are bound to the name allow.
func (s *Server) User(tb testing.TB, name string) *rest.Config {
	tb.Helper()
	user, err := s.plane.AddUser(envtest.User{Name: name}, &rest.Config{})
	if err != nil {
		tb.Fatalf("kubetest: %v", err)
	}
	return user.Config()
}

// Kubeconfig is the administrator's, as a file holds it.
func (s *Server) Kubeconfig(tb testing.TB) []byte {
	tb.Helper()
	text, err := s.user.KubeConfig()
	if err != nil {
		tb.Fatalf("kubetest: %v", err)
	}
	return text
}

// Client is an administrator's.
func (s *Server) Client(tb testing.TB) kubernetes.Interface {
	tb.Helper()
	cfg := s.Admin()
	cfg.ContentType = runtime.ContentTypeProtobuf // half the time of JSON, which counts for thousands of objects
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		tb.Fatalf("kubetest: %v", err)
	}
	return client
}
