package kube

import (
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/atlhyper/observe/shared/model"
)

func showService(s *corev1.Service) *model.KubeService {
	out := &model.KubeService{
		Metadata: metadataOf(&s.ObjectMeta), Type: string(s.Spec.Type), ClusterIP: s.Spec.ClusterIP,
		ExternalName: s.Spec.ExternalName, ExternalIPs: append([]string{}, s.Spec.ExternalIPs...),
		Ports: make([]model.KubeServicePort, len(s.Spec.Ports)), Selector: labels.FormatLabels(s.Spec.Selector),
	}
	if len(s.Spec.Selector) == 0 {
		out.Selector = "" // FormatLabels says <none>
	}
	for _, in := range s.Status.LoadBalancer.Ingress {
		out.ExternalIPs = append(out.ExternalIPs, cmp.Or(in.IP, in.Hostname))
	}
	for i, p := range s.Spec.Ports {
		out.Ports[i] = model.KubeServicePort{
			Name: p.Name, Protocol: string(p.Protocol), Port: int64(p.Port),
			TargetPort: p.TargetPort.String(), NodePort: int64(p.NodePort),
		}
	}
	return out
}

// endpoints are those of one slice.
type endpoints struct {
	service string // "" when the slice is no service's
	counts  model.KubeEndpoints
}

func showEndpointSlice(s *discoveryv1.EndpointSlice) *endpoints {
	out := &endpoints{service: s.Labels[discoveryv1.LabelServiceName]}
	for i := range s.Endpoints {
		// The API's word: nil is to be taken for ready.
		if or(s.Endpoints[i].Conditions.Ready, true) {
			out.counts.Ready++
		} else {
			out.counts.NotReady++
		}
	}
	return out
}

// services is the section of services with their endpoints.
func services(of, slices *informer) *section {
	return &section{
		inputs: []*informer{of, slices}, needed: 1,
		build: func(_ time.Time, read []reading) (any, time.Time) {
			list := list[model.KubeService](of.items())
			if read[1].denied {
				return list, time.Time{}
			}
			return withEndpoints(list, slices.items()), time.Time{}
		},
	}
}

// withEndpoints returns copies of the services: what a cache holds is not changed.
func withEndpoints(services []*model.KubeService, slices []*item) []*model.KubeService {
	type name struct{ namespace, name string }
	counts := make(map[name]model.KubeEndpoints)
	for _, it := range slices {
		if e, ok := it.shown.(*endpoints); ok {
			of := name{it.namespace, e.service}
			sum := counts[of]
			sum.Ready += e.counts.Ready
			sum.NotReady += e.counts.NotReady
			counts[of] = sum
		}
	}
	out := make([]*model.KubeService, len(services))
	for i, s := range services {
		with, sum := *s, counts[name{s.Metadata.Namespace, s.Metadata.Name}]
		with.Endpoints = &sum
		out[i] = &with
	}
	return out
}

func showIngress(in *networkingv1.Ingress) *model.KubeIngress {
	out := &model.KubeIngress{
		Metadata: metadataOf(&in.ObjectMeta), IngressClassName: or(in.Spec.IngressClassName, ""),
		Rules: []model.KubeIngressRule{}, DefaultBackend: backend(in.Spec.DefaultBackend), Addresses: []string{},
	}
	for _, r := range in.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for i := range r.HTTP.Paths {
			p := &r.HTTP.Paths[i]
			out.Rules = append(out.Rules, model.KubeIngressRule{
				Host: r.Host, Path: p.Path, PathType: string(or(p.PathType, "")), Backend: backend(&p.Backend),
			})
		}
	}
	for _, t := range in.Spec.TLS {
		out.TLSHosts = append(out.TLSHosts, t.Hosts...)
	}
	for _, a := range in.Status.LoadBalancer.Ingress {
		out.Addresses = append(out.Addresses, cmp.Or(a.IP, a.Hostname))
	}
	return out
}

// backend is service:port, or kind/name of another resource.
func backend(b *networkingv1.IngressBackend) string {
	switch {
	case b == nil:
		return ""
	case b.Service != nil && b.Service.Port.Name != "":
		return b.Service.Name + ":" + b.Service.Port.Name
	case b.Service != nil:
		return fmt.Sprintf("%s:%d", b.Service.Name, b.Service.Port.Number)
	case b.Resource != nil:
		return b.Resource.Kind + "/" + b.Resource.Name
	}
	return ""
}

func showNetworkPolicy(p *networkingv1.NetworkPolicy) *model.KubeNetworkPolicy {
	return &model.KubeNetworkPolicy{
		Metadata: metadataOf(&p.ObjectMeta), PodSelector: selectorOf(&p.Spec.PodSelector), PolicyTypes: texts(p.Spec.PolicyTypes),
		IngressRules: int64(len(p.Spec.Ingress)), EgressRules: int64(len(p.Spec.Egress)),
	}
}
