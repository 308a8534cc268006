package kubesim

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// resource is one row of the table: what is served.
type resource struct {
	schema.GroupVersionResource
	kind       string
	namespaced bool
	// writable by HTTP, as well as by Server.Apply.
	writable bool
}

func (r *resource) gvk() schema.GroupVersionKind { return r.GroupVersion().WithKind(r.kind) }

// path is where the group and version are.
func (r *resource) path() string {
	if r.Group == "" {
		return "/api/" + r.Version
	}
	return "/apis/" + r.Group + "/" + r.Version
}

// resources is the table: what agents follow, and the leases that they vote with.
func resources() []*resource {
	const clusterWide, namespaced = false, true
	row := func(gv schema.GroupVersion, name, kind string, namespaced bool) *resource {
		return &resource{GroupVersionResource: gv.WithResource(name), kind: kind, namespaced: namespaced}
	}
	leases := row(coordinationv1.SchemeGroupVersion, "leases", "Lease", namespaced)
	leases.writable = true
	core, apps, batch := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, batchv1.SchemeGroupVersion
	return []*resource{
		row(core, "nodes", "Node", clusterWide),
		row(core, "pods", "Pod", namespaced),
		row(apps, "deployments", "Deployment", namespaced),
		row(apps, "statefulsets", "StatefulSet", namespaced),
		row(apps, "daemonsets", "DaemonSet", namespaced),
		row(apps, "replicasets", "ReplicaSet", namespaced),
		row(batch, "jobs", "Job", namespaced),
		row(batch, "cronjobs", "CronJob", namespaced),
		row(core, "services", "Service", namespaced),
		row(networkingv1.SchemeGroupVersion, "ingresses", "Ingress", namespaced),
		row(discoveryv1.SchemeGroupVersion, "endpointslices", "EndpointSlice", namespaced),
		row(core, "namespaces", "Namespace", clusterWide),
		row(core, "configmaps", "ConfigMap", namespaced),
		row(core, "secrets", "Secret", namespaced),
		row(core, "persistentvolumes", "PersistentVolume", clusterWide),
		row(core, "persistentvolumeclaims", "PersistentVolumeClaim", namespaced),
		row(core, "resourcequotas", "ResourceQuota", namespaced),
		row(core, "limitranges", "LimitRange", namespaced),
		row(networkingv1.SchemeGroupVersion, "networkpolicies", "NetworkPolicy", namespaced),
		row(core, "serviceaccounts", "ServiceAccount", namespaced),
		row(core, "events", "Event", namespaced),
		leases,
	}
}

// newScheme knows the types of the table.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		metav1.AddMetaToScheme, corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme,
		networkingv1.AddToScheme, discoveryv1.AddToScheme, coordinationv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("kubesim: %w", err)
		}
	}
	return s, nil
}
