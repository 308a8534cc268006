package kube

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// fill writes nodes and pods as kubelets would: with labels, owners, addresses,
// conditions and statuses. It stays: to remove it takes longer than to write it.
func fill(t *testing.T, client kubernetes.Interface) (ns string) {
	t.Helper()
	ns = newNamespace(t, client)
	began := time.Now()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(32)
	for i := range largeNodes {
		g.Go(func() error {
			// The registry of nodes takes a status with the object; that of pods does not.
			_, err := client.CoreV1().Nodes().Create(ctx, largeNode(i), metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return nil // from the test before, with -count
			}
			return err
		})
	}
	for i := range largePods {
		g.Go(func() error {
			pod := largePod(i)
			status := pod.Status
			made, err := client.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			made.Status = status
			_, err = client.CoreV1().Pods(ns).UpdateStatus(ctx, made, metav1.UpdateOptions{})
			return err
		})
	}
	for i := range largePods / 10 {
		g.Go(func() error { return writeService(ctx, client, ns, i) })
	}
	for i := range maxEvents {
		g.Go(func() error {
			_, err := client.CoreV1().Events(ns).Create(ctx, largeEvent(ns, i), metav1.CreateOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	remembered(t, ns)
	t.Logf("%d nodes and %d pods written in %s", largeNodes, largePods, time.Since(began).Round(time.Second))
	return ns
}

// random are n characters as Kubernetes draws them for names, the same for equal seeds.
func random(n, seed int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	draw := rand.New(rand.NewPCG(uint64(n), uint64(seed))) //nolint:gosec // the same each time
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[draw.IntN(len(letters))]
	}
	return string(out)
}

func nodeName(i int) string {
	return fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", i/250, i%250)
}

func largeNode(i int) *corev1.Node {
	room := corev1.ResourceList{
		"cpu": resource.MustParse("16"), "memory": resource.MustParse("64886384Ki"), "pods": resource.MustParse("110"),
		"ephemeral-storage": resource.MustParse("104845292Ki"), "hugepages-1Gi": resource.MustParse("0"), "hugepages-2Mi": resource.MustParse("0"),
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), Labels: map[string]string{
			"large": "", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": nodeName(i),
			"node.kubernetes.io/instance-type": "m6i.4xlarge", "topology.kubernetes.io/region": "eu-central-1", "topology.kubernetes.io/zone": "eu-central-1a",
			"node-role.kubernetes.io/worker": "",
		}},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Addresses: []corev1.NodeAddress{{Type: "InternalIP", Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250)}, {Type: "Hostname", Address: nodeName(i)}, {Type: "InternalDNS", Address: nodeName(i)}},
			NodeInfo:  corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", OSImage: "Bottlerocket OS 1.50.0 (aws-k8s-1.37)", KernelVersion: "6.18.9", ContainerRuntimeVersion: "containerd://2.3.1+bottlerocket", OperatingSystem: "linux", Architecture: "amd64"},
		},
	}
	for _, c := range []corev1.NodeConditionType{"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"} {
		status := corev1.ConditionFalse
		if c == corev1.NodeReady {
			status = corev1.ConditionTrue
		}
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: c, Status: status, Reason: "Kubelet" + string(c), Message: "kubelet has no disk pressure", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()})
	}
	return n
}

func largePod(i int) *corev1.Pod {
	service := fmt.Sprintf("checkout-service-%d", i/10)
	hash := random(10, i/10)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:            service + "-" + hash + "-" + random(5, i),
			Labels:          map[string]string{"app.kubernetes.io/name": service, "app.kubernetes.io/instance": service, "app.kubernetes.io/part-of": "shop", "pod-template-hash": hash},
			Annotations:     map[string]string{"kubernetes.io/config.seen": "2026-01-02T03:04:05.678901234Z", "prometheus.io/scrape": "true"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: service + "-" + hash, UID: "5f2a6f9e-0d57-4b13-8a53-2f1f3f0a9a11", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: nodeName(i % largeNodes)},
	}
	started := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	containers := []string{"main", "istio-proxy"}
	for _, name := range containers[:1+i%2] {
		image := "registry.example.com/shop/" + name + ":v1.24.3"
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: name, Image: image, Env: []corev1.EnvVar{{Name: "LOG_LEVEL", Value: "info"}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")}},
		})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, Image: image, ImageID: image + "@sha256:0", Ready: true, State: started})
	}
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.%d.%d.%d", 128+i/62500, i/250%250, i%250)
	pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
	return pod
}

// writeService writes what a service consists of: ten pods are one's.
func writeService(ctx context.Context, client kubernetes.Interface, ns string, i int) error {
	of := largePod(i * 10)
	service := of.Labels["app.kubernetes.io/name"]
	selector := map[string]string{"app.kubernetes.io/name": service}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: of.Labels}, Spec: corev1.PodSpec{Containers: of.Spec.Containers}}
	metadata := metav1.ObjectMeta{Name: service, Labels: of.Labels}
	revision := metav1.ObjectMeta{Name: of.OwnerReferences[0].Name, Labels: of.Labels}
	revision.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: service, UID: "1", Controller: new(true)}}
	deployment := &appsv1.Deployment{ObjectMeta: metadata, Spec: appsv1.DeploymentSpec{Replicas: new(int32(10)), Selector: &metav1.LabelSelector{MatchLabels: selector}, Template: template}}
	set := &appsv1.ReplicaSet{ObjectMeta: revision, Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(10)), Selector: deployment.Spec.Selector, Template: template}}
	endpoints := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}}, AddressType: "IPv4"}
	for pod := range 10 {
		endpoints.Endpoints = append(endpoints.Endpoints, discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.128.%d.%d", i%250, pod)}})
	}
	_, err := client.AppsV1().Deployments(ns).Create(ctx, deployment, metav1.CreateOptions{})
	if err == nil {
		_, err = client.AppsV1().ReplicaSets(ns).Create(ctx, set, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = client.CoreV1().Services(ns).Create(ctx, &corev1.Service{ObjectMeta: metadata, Spec: corev1.ServiceSpec{ClusterIP: "None", Selector: selector, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = client.DiscoveryV1().EndpointSlices(ns).Create(ctx, endpoints, metav1.CreateOptions{})
	}
	return err
}

func largeEvent(ns string, i int) *corev1.Event {
	of := largePod(i % largePods)
	pod := of.Name
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: pod + "." + random(16, i)}, Type: "Warning", Reason: "Unhealthy", Count: 3,
		Message:        fmt.Sprintf("Readiness probe failed: Get \"http://%s:8080/ready\": context deadline exceeded", of.Status.PodIP),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: ns, Name: pod}, Source: corev1.EventSource{Component: "kubelet"},
		FirstTimestamp: metav1.NewTime(time.Now().Add(-time.Minute)), LastTimestamp: metav1.Now(),
	}
}
