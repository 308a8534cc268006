package world

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (m *moment) network() {
	for i := range m.apps {
		a := &m.apps[i]
		if a.kind == daemonSet && a.everywhere {
			continue
		}
		m.service(a)
	}
	created := m.cfg.Start.Add(-age)
	m.add(&corev1.Service{
		ObjectMeta: m.cfg.object("Service", metav1.NamespaceDefault, "kubernetes", created, map[string]string{"component": "apiserver"}),
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.0.1", Ports: []corev1.ServicePort{
			{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, TargetPort: intstr.FromInt32(6443)},
		}},
	})
	shop := m.cfg.shop()
	m.ingress(shop, "frontend", "frontend."+m.cfg.Name+".example.com")
	m.ingress(media, "thumbnail", "thumbnail."+m.cfg.Name+".example.com")
	m.ingress(infra, "auth", "auth."+m.cfg.Name+".example.com")

	m.add(&networkingv1.NetworkPolicy{
		ObjectMeta: m.cfg.object("NetworkPolicy", shop, "default-deny", created.Add(time.Hour), nil),
		Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}},
	}, &networkingv1.NetworkPolicy{
		ObjectMeta: m.cfg.object("NetworkPolicy", shop, "payment-from-checkout", created.Add(2*time.Hour), appLabels("payment")),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: appLabels("payment")},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
				{PodSelector: &metav1.LabelSelector{MatchLabels: appLabels("checkout")}},
			}}},
		},
	})
}

func (m *moment) service(a *app) {
	meta := m.cfg.object("Service", a.namespace, a.name, m.workloadMeta(a).CreationTimestamp.Time, appLabels(a.name))
	s := &corev1.Service{ObjectMeta: meta}
	s.Spec = corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: m.cfg.serviceIP(a.namespace, a.name), Selector: appLabels(a.name),
		Ports: []corev1.ServicePort{{Name: "main", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(a.port)}},
	}
	switch {
	case a.headless:
		s.Spec.ClusterIP = corev1.ClusterIPNone
		s.Spec.Ports[0].Port = a.port
	case a.name == "traefik":
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.Ports[0].NodePort = 30080
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: m.balancer()}}
	}
	m.add(s)

	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  controlled(m.cfg.object("EndpointSlice", a.namespace, a.name+"-"+m.cfg.suffix(5, "slice", a.namespace, a.name), meta.CreationTimestamp.Time, nil), "v1", "Service", meta),
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("main"), Protocol: new(corev1.ProtocolTCP), Port: new(a.port)}},
	}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: a.name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"}
	for i := range m.all {
		p := &m.all[i]
		if p.app != a || p.ip == "" || m.since(p.created) < startTakes/2 {
			continue
		}
		ending := !p.deleted.IsZero()
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{p.ip}, NodeName: new(p.node),
			Conditions: discoveryv1.EndpointConditions{Ready: new(p.ready && !ending), Serving: new(p.ready), Terminating: new(ending)},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: a.namespace, Name: p.name},
		})
	}
	m.add(slice)
}

// balancer is the address of what stands before the cluster.
func (m *moment) balancer() string { return m.cfg.address(3, 80) }

func (m *moment) ingress(namespace, service, host string) {
	prefix := networkingv1.PathTypePrefix
	m.add(&networkingv1.Ingress{
		ObjectMeta: annotated(m.cfg.object("Ingress", namespace, service, m.cfg.Start.Add(-age+3*time.Hour), appLabels(service))),
		Spec: networkingv1.IngressSpec{
			IngressClassName: new("traefik"),
			TLS:              []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: service + "-tls"}},
			Rules: []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
				Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{
					Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Number: 80}},
				}}},
			}}}},
		},
		Status: networkingv1.IngressStatus{LoadBalancer: networkingv1.IngressLoadBalancerStatus{
			Ingress: []networkingv1.IngressLoadBalancerIngress{{IP: m.balancer()}},
		}},
	})
}
