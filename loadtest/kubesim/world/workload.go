package world

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// counts are an app's pods that are not being deleted.
type counts struct{ all, ready, updated int32 }

// count counts the app's pods, of one rollout or, with -1, of all.
func (m *moment) count(a *app, rollout int) counts {
	newest := 0
	if a.rolls {
		newest = m.rollout()
	}
	var c counts
	for i := range m.all {
		p := &m.all[i]
		if p.app != a || !p.deleted.IsZero() || rollout >= 0 && p.rollout != rollout {
			continue
		}
		c.all++
		if p.ready {
			c.ready++
		}
		if p.rollout == newest {
			c.updated++
		}
	}
	return c
}

func (m *moment) workloadMeta(a *app) metav1.ObjectMeta {
	meta := m.cfg.object(a.kind, a.namespace, a.name, m.cfg.Start.Add(-age+time.Hour), appLabels(a.name))
	meta.Generation = 1
	return annotated(meta)
}

func (m *moment) replicaSetMeta(a *app, rollout int) metav1.ObjectMeta {
	created := m.cfg.Start.Add(-24*time.Hour + time.Duration(rollout)*2*time.Hour)
	if rollout > 0 {
		created = m.rollBegins(rollout)
	}
	meta := m.cfg.object("ReplicaSet", a.namespace, m.replicaSetName(a, rollout), created, appLabels(a.name))
	meta.Labels["pod-template-hash"] = m.templateHash(a, rollout)
	return controlled(meta, "apps/v1", deployment, m.workloadMeta(a))
}

func (m *moment) workloads() {
	for i := range m.apps {
		a := &m.apps[i]
		switch a.kind {
		case deployment:
			m.deployment(a)
		case statefulSet:
			m.statefulSet(a)
		case daemonSet:
			m.daemonSet(a)
		}
	}
}

func selector(a *app) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: appLabels(a.name)}
}

func (m *moment) deployment(a *app) {
	newest, oldest := 0, 0
	if a.rolls {
		newest = m.rollout()
		oldest = max(0, newest-historyLimit)
	}
	for n := oldest; n <= newest; n++ {
		c := m.count(a, n)
		set := &appsv1.ReplicaSet{ObjectMeta: m.replicaSetMeta(a, n)}
		set.Spec = appsv1.ReplicaSetSpec{Replicas: &c.all, Selector: selector(a), Template: template(a, n)}
		set.Status = appsv1.ReplicaSetStatus{Replicas: c.all, FullyLabeledReplicas: c.all, ReadyReplicas: c.ready, AvailableReplicas: c.ready}
		m.add(set)
	}
	c := m.count(a, -1)
	wanted := int32(a.replicas) //nolint:gosec // of the plan
	d := &appsv1.Deployment{ObjectMeta: m.workloadMeta(a)}
	d.Generation = int64(1 + newest)
	quarter := intstr.FromString("25%")
	d.Spec = appsv1.DeploymentSpec{
		Replicas: &wanted, Selector: selector(a), Template: template(a, newest), RevisionHistoryLimit: new(int32(historyLimit)),
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &quarter, MaxUnavailable: &quarter}},
	}
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: c.all, UpdatedReplicas: c.updated,
		ReadyReplicas: c.ready, AvailableReplicas: c.ready, UnavailableReplicas: max(0, wanted-c.ready),
	}
	d.Annotations["deployment.kubernetes.io/revision"] = text(revisions + newest)
	d.Status.Conditions = deploymentConditions(c, wanted, m.replicaSetName(a, newest))
	m.add(d)
}

func deploymentConditions(c counts, wanted int32, newest string) []appsv1.DeploymentCondition {
	available := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable", Message: "Deployment has minimum availability.",
	}
	if c.ready < wanted-wanted/4 { // a quarter may be missing, rounded down
		available.Status, available.Reason, available.Message = corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
	}
	progressing := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
		Message: `ReplicaSet "` + newest + `" has successfully progressed.`,
	}
	if c.updated < wanted || c.all > wanted {
		progressing.Reason, progressing.Message = "ReplicaSetUpdated", `ReplicaSet "`+newest+`" is progressing.`
	}
	return []appsv1.DeploymentCondition{available, progressing}
}

func (m *moment) statefulSet(a *app) {
	c, wanted := m.count(a, -1), int32(a.replicas) //nolint:gosec // of the plan
	set := &appsv1.StatefulSet{ObjectMeta: m.workloadMeta(a)}
	set.Spec = appsv1.StatefulSetSpec{
		Replicas: &wanted, ServiceName: a.name, Selector: selector(a), Template: template(a, 0),
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
			ObjectMeta: metav1.ObjectMeta{Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(a.disk)}},
			},
		}},
	}
	set.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: 1, Replicas: c.all, ReadyReplicas: c.ready, CurrentReplicas: c.all, UpdatedReplicas: c.all, AvailableReplicas: c.ready,
	}
	m.add(set)
}

func (m *moment) daemonSet(a *app) {
	c := m.count(a, -1)
	set := &appsv1.DaemonSet{ObjectMeta: m.workloadMeta(a)}
	set.Spec = appsv1.DaemonSetSpec{Selector: selector(a), Template: template(a, 0)}
	set.Status = appsv1.DaemonSetStatus{
		ObservedGeneration: 1, DesiredNumberScheduled: c.all, CurrentNumberScheduled: c.all, UpdatedNumberScheduled: c.all,
		NumberReady: c.ready, NumberAvailable: c.ready, NumberUnavailable: c.all - c.ready,
	}
	m.add(set)
}
