package kube

import (
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/atlhyper/observe/shared/model"
)

// Sizes of the large cluster, and bounds of what it may take. The bound of what is
// stored and sent to masters is 4 MB; names that are made up compress better than real
// ones, so that a quarter of it is asked for here. What is uncompressed, which only
// passes through the agent, and what informers hold may take a tenth or a half more
// than they do.
const (
	largeNodes  = 200
	largePods   = 5000
	packAbove   = 64 << 10
	maxStored   = 1 << 20
	maxPlain    = 5 << 20
	maxInformer = 16 << 20
)

// TestLargeCluster fills a cluster, reads it, and holds what that takes against bounds.
func TestLargeCluster(t *testing.T) {
	client := admin(t)
	if testing.Short() {
		t.Skip("writes 5,000 pods")
	}
	fill(t, client)
	before := heap()
	c := follow(t, server.Admin())
	ready(t, c)
	if held := int64(heap()) - int64(before); held > maxInformer {
		t.Errorf("informers hold %d bytes, over %d", held, maxInformer)
	} else {
		t.Logf("informers hold %.1f MB", float64(held)/(1<<20))
	}
	// What is counted above must still be there.
	if pods := shownIn[model.KubePod](t, c, model.SectionKubePods); len(pods) < largePods {
		t.Errorf("%d pods", len(pods))
	}
	if nodes := shownIn[model.KubeNode](t, c, model.SectionKubeNodes); len(nodes) < largeNodes {
		t.Errorf("%d nodes", len(nodes))
	}
	if recent := shownIn[model.KubeEvent](t, c, model.SectionKubeEvents); len(recent) != maxEvents {
		t.Errorf("%d events", len(recent))
	}
	plain, stored := 0, 0
	for _, s := range newPublisher(t).publish(t, c) {
		plain += s.Bytes
		stored += s.stored()
	}
	t.Logf("sections take %d bytes, %d as they are stored", plain, stored)
	if plain > maxPlain || stored > maxStored {
		t.Errorf("sections take %d bytes, at most %d, and %d as they are stored, at most %d", plain, maxPlain, stored, maxStored)
	}
	names, err := c.NodeNames()
	if want := nodeName(7); err != nil || names["10.0.0.7"] != want || names[want] != want {
		t.Errorf("10.0.0.7 is %q, not %q: %v", names["10.0.0.7"], want, err)
	}
}

// TestOnePodOfMany: what one pod's change writes anew.
func TestOnePodOfMany(t *testing.T) {
	client := admin(t)
	ns := populate(t, client)
	c := follow(t, server.Admin())
	ready(t, c)
	agent := newPublisher(t)
	agent.publish(t, c)
	fail(t, client, ns, "pod")
	written := make(map[model.Section]bool)
	eventually(t, "pods are written", func() bool {
		for _, s := range agent.publish(t, c) {
			written[s.Name] = true
		}
		return written[model.SectionKubePods] && written[model.SectionKubeSummary]
	})
	if len(written) != 2 {
		t.Errorf("a pod's change writes %v", written)
	}
}

// fail makes the pod's phase Failed, or Running when it is that.
func fail(t *testing.T, client kubernetes.Interface, ns, name string) {
	t.Helper()
	pod := must[*corev1.Pod](t)(client.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{}))
	if pod.Status.Phase == corev1.PodFailed {
		pod.Status.Phase = corev1.PodRunning
	} else {
		pod.Status.Phase = corev1.PodFailed
	}
	must[*corev1.Pod](t)(client.CoreV1().Pods(ns).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}))
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what has finalizers goes in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
