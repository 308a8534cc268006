package world

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod is one pod of an app that is there at the moment.
type pod struct {
	app     *app
	slot    int // which replica
	rollout int // of which rollout
	name    string
	node    string // "" until it is scheduled
	ip      string
	created time.Time
	deleted time.Time // the zero time: it is not
	ready   bool      // its containers are, and their node says so
}

// plan says which pods of workloads are there.
func (m *moment) plan() {
	next := 40 // the last part of an address of a pod
	for i := range m.apps {
		a := &m.apps[i]
		replicas := a.replicas
		var nodes []string
		for _, one := range m.cfg.machines() {
			if a.kind != daemonSet && one.control || !a.everywhere && one.control {
				continue
			}
			nodes = append(nodes, one.name)
		}
		if a.kind == daemonSet {
			replicas = len(nodes)
		}
		first := m.cfg.below(len(nodes), "first node", a.namespace, a.name)
		for slot := range replicas {
			for _, p := range m.generations(a, slot) {
				p.node, p.ip = nodes[(first+slot)%len(nodes)], m.cfg.address(2, next+2*slot+p.rollout%2)
				switch {
				case a.kind == daemonSet:
					p.node = nodes[slot]
					p.ip = m.cfg.machines()[len(m.cfg.machines())-len(nodes)+slot].ip
				case a.tooBig:
					p.node, p.ip = "", ""
				case a.ips != nil:
					p.ip = a.ips[slot]
				}
				p.ready = p.node != "" && !m.away(p.node) && m.containerReady(&p)
				m.all = append(m.all, p)
			}
		}
		next += 2 * replicas
	}
}

// generations are the pods of one replica: one, or during a rollout two.
func (m *moment) generations(a *app, slot int) []pod {
	newest := 0
	if a.rolls {
		newest = m.rollout()
	}
	var out []pod
	for n := max(0, newest-1); n <= newest; n++ {
		p := pod{app: a, slot: slot, rollout: n, created: m.cfg.old("pod", a.namespace, a.name, slot)}
		if n > 0 {
			p.created = m.rollBegins(n).Add(time.Duration(slot) * rollStep)
		}
		if n < newest {
			p.deleted = m.rollBegins(n + 1).Add(time.Duration(slot)*rollStep + startTakes)
			if m.now.Before(p.deleted) {
				p.deleted = time.Time{}
			} else if m.since(p.deleted) >= stopTakes {
				continue
			}
		}
		if p.created.After(m.now) {
			continue
		}
		p.name = m.podName(a, slot, n)
		out = append(out, p)
	}
	return out
}

func (m *moment) podName(a *app, slot, rollout int) string {
	switch a.kind {
	case statefulSet:
		return fmt.Sprintf("%s-%d", a.name, slot)
	case daemonSet:
		return a.name + "-" + m.cfg.suffix(5, a.namespace, a.name, slot)
	}
	return m.replicaSetName(a, rollout) + "-" + m.cfg.suffix(5, a.namespace, a.name, slot, rollout)
}

func (m *moment) templateHash(a *app, rollout int) string {
	return m.cfg.suffix(9, "template", a.namespace, a.name, rollout)
}

func (m *moment) replicaSetName(a *app, rollout int) string {
	return a.name + "-" + m.templateHash(a, rollout)
}

func (p *pod) crashes() bool { return p.app.crashes && p.slot == p.app.replicas-1 }

// containerReady is what the kubelet says.
func (m *moment) containerReady(p *pod) bool {
	if p.crashes() {
		_, in := m.crash()
		return in >= crashReady && in < crashRuns
	}
	if _, counts := m.probe(); counts && p.app.shaky && p.slot == 0 {
		return false
	}
	return m.since(p.created) >= startTakes
}

func (m *moment) pods() {
	for i := range m.all {
		p := &m.all[i]
		a := p.app
		meta := m.cfg.object("Pod", a.namespace, p.name, p.created, appLabels(a.name))
		switch a.kind {
		case deployment:
			meta.Labels["pod-template-hash"] = m.templateHash(a, p.rollout)
			meta = controlled(meta, "apps/v1", "ReplicaSet", m.replicaSetMeta(a, p.rollout))
		case statefulSet:
			meta.Labels["apps.kubernetes.io/pod-index"] = text(p.slot)
			meta = controlled(meta, "apps/v1", statefulSet, m.workloadMeta(a))
		case daemonSet:
			meta = controlled(meta, "apps/v1", daemonSet, m.workloadMeta(a))
		}
		if !p.deleted.IsZero() {
			meta.DeletionTimestamp, meta.DeletionGracePeriodSeconds = new(metav1.NewTime(p.deleted.Add(30*time.Second))), new(int64(30))
		}
		object := &corev1.Pod{ObjectMeta: annotated(meta), Spec: template(a, p.rollout).Spec, Status: m.podStatus(p)}
		object.Spec.NodeName = p.node
		m.add(object)
	}
}

func (m *moment) podStatus(p *pod) corev1.PodStatus {
	scheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(p.created)}
	if p.node == "" {
		scheduled.Status, scheduled.Reason, scheduled.Message = corev1.ConditionFalse, corev1.PodReasonUnschedulable, m.unschedulable()
		return corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{scheduled}}
	}
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: p.ip, PodIPs: []corev1.PodIP{{IP: p.ip}}, StartTime: new(metav1.NewTime(p.created)),
		Conditions: []corev1.PodCondition{scheduled, {Type: corev1.PodReady, Status: conditionStatus(p.ready), LastTransitionTime: metav1.NewTime(p.created)}},
	}
	container := corev1.ContainerStatus{
		Name: p.app.name, Image: imageOf(p.app, p.rollout), Ready: m.containerReady(p), Started: new(true),
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(p.created.Add(startTakes / 2))}},
	}
	switch {
	case m.since(p.created) < startTakes/2:
		status.Phase, status.PodIP, status.PodIPs = corev1.PodPending, "", nil
		container.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
		container.Started = new(false)
	case p.crashes():
		m.crashing(&container)
	}
	status.ContainerStatuses = []corev1.ContainerStatus{container}
	return status
}

// crashing is the state of the container that dies again and again.
func (m *moment) crashing(c *corev1.ContainerStatus) {
	life, in := m.crash()
	began := m.now.Add(-in)
	dead := func(began time.Time) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", StartedAt: metav1.NewTime(began), FinishedAt: metav1.NewTime(began.Add(crashRuns)),
		}}
	}
	c.RestartCount = int32(life) //nolint:gosec // one a minute
	if in < crashRuns {
		c.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(began)}}
		c.LastTerminationState = dead(began.Add(-crashEvery))
		return
	}
	c.Started = new(false)
	c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason: "CrashLoopBackOff", Message: "back-off 40s restarting failed container=" + c.Name,
	}}
	c.LastTerminationState = dead(began)
}

func conditionStatus(b bool) corev1.ConditionStatus {
	if b {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

func (m *moment) unschedulable() string {
	return "0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient cpu, 3 Insufficient memory."
}

// template is what the app's pods are made from.
func template(a *app, rollout int) corev1.PodTemplateSpec {
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(a.cpu), corev1.ResourceMemory: resource.MustParse(a.memory)}
	container := corev1.Container{
		Name: a.name, Image: imageOf(a, rollout), Resources: corev1.ResourceRequirements{Requests: requests},
		Ports: []corev1.ContainerPort{{Name: "main", ContainerPort: a.port, Protocol: corev1.ProtocolTCP}},
		Env:   []corev1.EnvVar{{Name: "PASSWORD", Value: Marker}},
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: appLabels(a.name)},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container}, ServiceAccountName: serviceAccount(a), HostNetwork: a.kind == daemonSet,
			RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: new(int64(30)),
		},
	}
}

// serviceAccount is the app's.
func serviceAccount(a *app) string {
	if a.namespace == kubeSystem || a.namespace == ingress || a.namespace == monitoring {
		return a.name
	}
	return "default"
}
