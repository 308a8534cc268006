package world

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func text(n int) string { return strconv.Itoa(n) }

// namespaces of the cluster, those of the system first.
func (c Config) namespaces() []string {
	return []string{metav1.NamespaceDefault, kubeSystem, "kube-public", "kube-node-lease", c.shop(), media, infra, ingress, hotrod, monitoring}
}

func (m *moment) configuration() {
	created := m.cfg.Start.Add(-age)
	for i, name := range m.cfg.namespaces() {
		at := created
		if i >= 4 { // made by people
			at = created.Add(time.Duration(i) * 10 * time.Minute)
		}
		m.add(&corev1.Namespace{
			ObjectMeta: m.cfg.object("Namespace", "", name, at, map[string]string{corev1.LabelMetadataName: name}),
			Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
			Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
		}, &corev1.ServiceAccount{
			ObjectMeta: annotated(m.cfg.object("ServiceAccount", name, "default", at, nil)),
		}, &corev1.ConfigMap{
			ObjectMeta: m.cfg.object("ConfigMap", name, "kube-root-ca.crt", at, nil), Data: map[string]string{"ca.crt": Marker},
		})
	}
	for i := range m.apps {
		if a := &m.apps[i]; serviceAccount(a) != "default" {
			m.add(&corev1.ServiceAccount{ObjectMeta: m.cfg.object("ServiceAccount", a.namespace, a.name, m.workloadMeta(a).CreationTimestamp.Time, appLabels(a.name))})
		}
	}
	m.secrets()
	m.limits()
}

func (m *moment) secrets() {
	shop := m.cfg.shop()
	settings := func(namespace, name string, keys ...string) {
		object := &corev1.ConfigMap{ObjectMeta: annotated(m.cfg.object("ConfigMap", namespace, name, m.cfg.old("config", namespace, name), appLabels(name))), Data: map[string]string{}}
		for _, key := range keys {
			object.Data[key] = Marker
		}
		m.add(object)
	}
	settings(shop, "checkout-settings", "currencies.yaml", "limits.yaml")
	settings(shop, "feature-flags", "flags.json")
	settings(media, "thumbnail-settings", "sizes.yaml")
	settings(ingress, "traefik-settings", "traefik.yaml")
	settings(hotrod, "mysql-settings", "my.cnf")
	settings(monitoring, "otel-collector-settings", "collector.yaml")
	settings(kubeSystem, "coredns", "Corefile")
	m.add(&corev1.ConfigMap{
		ObjectMeta: m.cfg.object("ConfigMap", infra, "jwt-keys-2026", m.cfg.old("jwt"), nil), Immutable: new(true),
		BinaryData: map[string][]byte{"keys.jwks": []byte(Marker)},
	})

	secret := func(namespace, name string, kind corev1.SecretType, keys ...string) {
		object := &corev1.Secret{ObjectMeta: annotated(m.cfg.object("Secret", namespace, name, m.cfg.old("secret", namespace, name), appLabels(name))), Type: kind, Data: map[string][]byte{}}
		for _, key := range keys {
			object.Data[key] = []byte(`{"auths":{"registry.example.com":{"auth":"` + Marker + `"}}}`)
		}
		m.add(object)
	}
	for _, of := range [][2]string{{shop, "frontend"}, {media, "thumbnail"}, {infra, "auth"}} {
		secret(of[0], of[1]+"-tls", corev1.SecretTypeTLS, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	secret(shop, "payment-provider", corev1.SecretTypeOpaque, "api-key", "webhook-secret")
	secret(shop, "registry", corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey)
	secret(hotrod, "mysql", corev1.SecretTypeOpaque, "root-password", "user-password")
	secret(infra, "auth-signing", corev1.SecretTypeOpaque, "private.pem")
}

func resources(pairs ...string) corev1.ResourceList {
	out := make(corev1.ResourceList, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

// limits adds quotas, of which as much is used as there are pods, and limit ranges.
func (m *moment) limits() {
	shop, created := m.cfg.shop(), m.cfg.Start.Add(-age+4*time.Hour)
	for _, q := range []struct{ namespace, pods, cpu, memory string }{{shop, "40", "4", "8Gi"}, {media, "10", "10", "64Gi"}} {
		hard := resources("pods", q.pods, "requests.cpu", q.cpu, "requests.memory", q.memory)
		used := corev1.ResourceList{corev1.ResourcePods: {}, corev1.ResourceRequestsCPU: {}, corev1.ResourceRequestsMemory: {}}
		for name, quantity := range m.requested(q.namespace) {
			used[name] = quantity
		}
		m.add(&corev1.ResourceQuota{
			ObjectMeta: m.cfg.object("ResourceQuota", q.namespace, "team", created, nil),
			Spec:       corev1.ResourceQuotaSpec{Hard: hard}, Status: corev1.ResourceQuotaStatus{Hard: hard.DeepCopy(), Used: used},
		})
	}
	for _, namespace := range []string{shop, media, hotrod} {
		m.add(&corev1.LimitRange{
			ObjectMeta: m.cfg.object("LimitRange", namespace, "defaults", created, nil),
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
				{Type: corev1.LimitTypeContainer, Default: resources("cpu", "500m", "memory", "256Mi"), DefaultRequest: resources("cpu", "50m", "memory", "96Mi"), Max: resources("memory", "64Gi")},
				{Type: corev1.LimitTypePersistentVolumeClaim, Max: resources("storage", "100Gi"), Min: resources("storage", "1Gi")},
			}},
		})
	}
}

// requested is what the pods of a namespace ask for that have not ended.
func (m *moment) requested(namespace string) corev1.ResourceList {
	var pods int64
	var cpu, memory resource.Quantity
	for _, object := range m.out {
		p, ok := object.(*corev1.Pod)
		if !ok || p.Namespace != namespace || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		pods++
		cpu.Add(p.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU])
		memory.Add(p.Spec.Containers[0].Resources.Requests[corev1.ResourceMemory])
	}
	return corev1.ResourceList{
		corev1.ResourcePods:        *resource.NewQuantity(pods, resource.DecimalSI),
		corev1.ResourceRequestsCPU: cpu, corev1.ResourceRequestsMemory: memory,
	}
}
