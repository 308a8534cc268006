package kube

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/atlhyper/observe/shared/model"
)

// metadataOf leaves out annotations on purpose: kubectl apply keeps a copy of the whole
// object there, values of secrets with it.
func metadataOf(o *metav1.ObjectMeta) model.KubeMetadata {
	return model.KubeMetadata{
		Namespace: o.Namespace, Name: o.Name, Labels: o.Labels, CreationTimestamp: model.NewTime(o.CreationTimestamp.Time),
	}
}

// ownerOf is the object's controller, nil when it has none.
func ownerOf(o *metav1.ObjectMeta) *model.KubeRef {
	if c := metav1.GetControllerOfNoCopy(o); c != nil {
		return &model.KubeRef{Kind: c.Kind, Name: c.Name}
	}
	return nil
}

// selectorOf is the selector as kubectl -l takes it.
func selectorOf(s *metav1.LabelSelector) string {
	if s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return ""
	}
	return metav1.FormatLabelSelector(s)
}

// images of a pod template, without those of its init containers.
func images(spec *corev1.PodSpec) []string {
	out := make([]string, len(spec.Containers))
	for i, c := range spec.Containers {
		out[i] = c.Image
	}
	return out
}

// quantities as the API server writes them.
func quantities(list corev1.ResourceList) map[string]string {
	out := make(map[string]string, len(list))
	for name, q := range list {
		out[string(name)] = q.String()
	}
	return out
}

// some are the quantities that are not zero.
func some(list corev1.ResourceList) map[string]string {
	out := quantities(list)
	maps.DeleteFunc(out, func(_, q string) bool { return q == "0" })
	return out
}

// quantity is one of list, "" when it has none.
func quantity(list corev1.ResourceList, name corev1.ResourceName) string {
	if q, ok := list[name]; ok {
		return q.String()
	}
	return ""
}

// texts are values of a string type as strings.
func texts[S ~string](values []S) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// keys of maps, sorted: what is shown of config maps and secrets.
func keys[A, B any](a map[string]A, b map[string]B) []string {
	out := make([]string, 0, len(a)+len(b))
	for k := range a {
		out = append(out, k)
	}
	for k := range b {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// timeOf is "" for nil.
func timeOf(t *metav1.Time) model.Time {
	if t == nil {
		return ""
	}
	return model.NewTime(t.Time)
}

// or is what p points at, or the API's default.
func or[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}
