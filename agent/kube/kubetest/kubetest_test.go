package kubetest

import (
	"flag"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var withServer = flag.Bool("kube", false, "run the tests that need an API server; see make test-kube")

func TestServer(t *testing.T) {
	if !*withServer {
		t.Skip("make test-kube runs it")
	}
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	before, err := s.Client(t).CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	s.StopAPI(t)
	if _, err := s.Client(t).CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err == nil {
		t.Fatal("an API server that was stopped answers")
	}
	s.StartAPI(t, nil)

	after, err := s.Client(t).CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if before.UID != after.UID {
		t.Errorf("kube-system is another one after a restart: %s, was %s", after.UID, before.UID)
	}
}
