package kube

import (
	"cmp"
	"reflect"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/atlhyper/observe/shared/model"
)

// kind is one row of the table: what is read, and what is shown of it.
type kind struct {
	// section is where it is shown; "" for what only other sections need.
	section  model.Section
	resource schema.GroupVersionResource
	// object is an example. Of a *metav1.PartialObjectMetadata, only metadata leaves
	// the API server.
	object runtime.Object
	// show is what is kept and shown of an object; nil when it is not shown.
	show func(runtime.Object) any
	// value is the section: of all that is shown, and how long that holds without a
	// change (the zero time: forever).
	value func(items []*item, now time.Time) (value any, until time.Time)
}

// kinds is the table.
func kinds() []kind {
	core, apps, batch := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, batchv1.SchemeGroupVersion
	network, discovery := networkingv1.SchemeGroupVersion, discoveryv1.SchemeGroupVersion
	return []kind{
		row(model.SectionKubeNodes, core.WithResource("nodes"), showNode),
		row(model.SectionKubePods, core.WithResource("pods"), showPod),
		row(model.SectionKubeDeployments, apps.WithResource("deployments"), showDeployment),
		row(model.SectionKubeStatefulSets, apps.WithResource("statefulsets"), showStatefulSet),
		row(model.SectionKubeDaemonSets, apps.WithResource("daemonsets"), showDaemonSet),
		row(model.SectionKubeReplicaSets, apps.WithResource("replicasets"), showReplicaSet),
		row(model.SectionKubeJobs, batch.WithResource("jobs"), showJob),
		row(model.SectionKubeCronJobs, batch.WithResource("cronjobs"), showCronJob),
		row(model.SectionKubeServices, core.WithResource("services"), showService),
		row(model.SectionKubeIngresses, network.WithResource("ingresses"), showIngress),
		row("", discovery.WithResource("endpointslices"), showEndpointSlice),
		row(model.SectionKubeNamespaces, core.WithResource("namespaces"), showNamespace),
		row(model.SectionKubeConfigMaps, core.WithResource("configmaps"), showConfigMap),
		row(model.SectionKubeSecrets, core.WithResource("secrets"), showSecret),
		row(model.SectionKubePVs, core.WithResource("persistentvolumes"), showPV),
		row(model.SectionKubePVCs, core.WithResource("persistentvolumeclaims"), showPVC),
		row(model.SectionKubeResourceQuotas, core.WithResource("resourcequotas"), showResourceQuota),
		row(model.SectionKubeLimitRanges, core.WithResource("limitranges"), showLimitRange),
		row(model.SectionKubeNetworkPolicies, network.WithResource("networkpolicies"), showNetworkPolicy),
		row(model.SectionKubeServiceAccounts, core.WithResource("serviceaccounts"), showServiceAccount),
		events(row(model.SectionKubeEvents, core.WithResource("events"), showEvent)),
	}
}

// row is a kind whose objects are of type O and shown as *V, in a list by namespace,
// then name.
func row[O runtime.Object, V any](name model.Section, resource schema.GroupVersionResource, show func(O) *V) kind {
	object, ok := reflect.New(reflect.TypeFor[O]().Elem()).Interface().(O)
	if !ok {
		panic("kube: an object's type is a pointer to a struct") // a bug in the table
	}
	return kind{
		section: name, resource: resource, object: object,
		show: func(obj runtime.Object) any {
			o, ok := obj.(O)
			if !ok {
				return nil
			}
			// A nil *V in an any would not be nil.
			if v := show(o); v != nil {
				return v
			}
			return nil
		},
		value: func(items []*item, _ time.Time) (any, time.Time) { return list[V](items), time.Time{} },
	}
}

// list is what is shown, by namespace, then name.
func list[V any](items []*item) []*V {
	slices.SortFunc(items, func(a, b *item) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	out := make([]*V, 0, len(items))
	for _, it := range items {
		if v, ok := it.shown.(*V); ok {
			out = append(out, v)
		}
	}
	return out
}
