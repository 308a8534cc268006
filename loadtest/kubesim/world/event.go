package world

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// eventTTL is how long an API server keeps events.
const eventTTL = time.Hour

// note is what becomes an event.
type note struct {
	about               corev1.ObjectReference
	component           string
	warning             bool
	reason, message     string
	first, last         time.Time
	count               int
	distinguishedByTime bool // of events with the same reason about the same object
}

// once notes what happened at one time, if it is not to come.
func (m *moment) once(kind, namespace, name, component, reason, message string, at time.Time) {
	m.note(note{
		about: corev1.ObjectReference{Kind: kind, Namespace: namespace, Name: name}, component: component,
		reason: reason, message: message, first: at, last: at, count: 1, distinguishedByTime: true,
	})
}

func (m *moment) note(n note) {
	if n.last.After(m.now) || m.since(n.last) >= eventTTL || n.count < 1 {
		return
	}
	m.log = append(m.log, n)
}

func (m *moment) events() {
	m.podEvents()
	m.rollEvents()
	m.warnings()
	m.nodeEvents()
	m.jobEvents()
	for _, n := range m.log {
		namespace := n.about.Namespace
		if namespace == "" {
			namespace = metav1.NamespaceDefault // where events about nodes are
		}
		key := []any{n.about.Kind, namespace, n.about.Name, n.reason, n.message}
		if n.distinguishedByTime {
			key = append(key, n.first.Unix())
		}
		sum := m.cfg.hash(key...)
		e := &corev1.Event{
			ObjectMeta:     m.cfg.object("Event", namespace, fmt.Sprintf("%s.%x", n.about.Name, sum[:8]), n.first, nil),
			InvolvedObject: n.about, Reason: n.reason, Message: n.message, Type: corev1.EventTypeNormal,
			Source:         corev1.EventSource{Component: n.component},
			FirstTimestamp: metav1.NewTime(n.first), LastTimestamp: metav1.NewTime(n.last), Count: int32(n.count), //nolint:gosec // few
		}
		if n.warning {
			e.Type = corev1.EventTypeWarning
		}
		m.add(e)
	}
}

// podEvents are those of pods that rollouts made and ended, also of those that are gone.
func (m *moment) podEvents() {
	for i := range m.apps {
		a := &m.apps[i]
		if !a.rolls {
			continue
		}
		for n := max(1, m.rollout()-int(eventTTL/rollEvery)); n <= m.rollout(); n++ {
			for slot := range a.replicas {
				created := m.rollBegins(n).Add(time.Duration(slot) * rollStep)
				m.birth(a, m.podName(a, slot, n), imageOf(a, n), created)
				m.once("Pod", a.namespace, m.podName(a, slot, n-1), "kubelet", "Killing", "Stopping container "+a.name, created.Add(startTakes))
			}
		}
	}
}

func (m *moment) birth(a *app, pod, image string, created time.Time) {
	at := func(component, reason, message string, after time.Duration) {
		m.once("Pod", a.namespace, pod, component, reason, message, created.Add(after))
	}
	at("default-scheduler", "Scheduled", fmt.Sprintf("Successfully assigned %s/%s to a node", a.namespace, pod), 0)
	at("kubelet", "Pulled", fmt.Sprintf("Container image %q already present on machine", image), 2*time.Second)
	at("kubelet", "Created", "Container created", 3*time.Second)
	at("kubelet", "Started", "Container started", startTakes/2)
}

// rollEvents are those of the deployment's controller.
func (m *moment) rollEvents() {
	for i := range m.apps {
		a := &m.apps[i]
		if !a.rolls {
			continue
		}
		scaled := func(direction string, n, from, to int, at time.Time) {
			m.once(deployment, a.namespace, a.name, "deployment-controller", "ScalingReplicaSet",
				fmt.Sprintf("Scaled %s replica set %s from %d to %d", direction, m.replicaSetName(a, n), from, to), at)
		}
		for n := max(1, m.rollout()-int(eventTTL/rollEvery)); n <= m.rollout(); n++ {
			for slot := range a.replicas {
				created := m.rollBegins(n).Add(time.Duration(slot) * rollStep)
				scaled("up", n, slot, slot+1, created)
				scaled("down", n-1, a.replicas-slot, a.replicas-slot-1, created.Add(startTakes))
				m.once("ReplicaSet", a.namespace, m.replicaSetName(a, n), "replicaset-controller", "SuccessfulCreate", "Created pod: "+m.podName(a, slot, n), created)
			}
		}
	}
}

// warnings are what repeats and is counted.
func (m *moment) warnings() {
	for i := range m.all {
		p := &m.all[i]
		about := corev1.ObjectReference{Kind: "Pod", Namespace: p.app.namespace, Name: p.name, FieldPath: "spec.containers{" + p.app.name + "}"}
		switch {
		case p.crashes():
			life, in := m.crash()
			down := life
			last := m.now.Add(crashRuns - in)
			if in < crashRuns { // it runs: it was last down in the life before
				down, last = life-1, last.Add(-crashEvery)
			}
			m.note(note{
				about: about, component: "kubelet", warning: true, reason: "BackOff",
				message: "Back-off restarting failed container " + p.app.name + " in pod " + p.name,
				first:   m.cfg.Start.Add(-crashesOnce * crashEvery), last: last, count: 1 + down,
			})
			m.note(note{
				about: about, component: "kubelet", reason: "Started", message: "Container started",
				first: m.cfg.Start.Add(-crashesOnce * crashEvery), last: m.now.Add(-in), count: 1 + life,
			})
		case p.app.tooBig:
			tries := int(m.since(p.created) / (5 * time.Minute))
			m.note(note{
				about: corev1.ObjectReference{Kind: "Pod", Namespace: p.app.namespace, Name: p.name}, component: "default-scheduler", warning: true,
				reason: "FailedScheduling", message: m.unschedulable(), first: p.created, last: p.created.Add(time.Duration(tries) * 5 * time.Minute), count: 1 + tries,
			})
		case p.app.shaky && p.slot == 0:
			failed, _ := m.probe()
			m.note(note{
				about: about, component: "kubelet", warning: true, reason: "Unhealthy",
				message: "Readiness probe failed: HTTP probe failed with statuscode: 503",
				first:   m.at(0), last: m.at(time.Duration(failed-1) * probeEvery), count: failed,
			})
		}
	}
	claim := corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: m.cfg.shop(), Name: "reports"}
	tries := int(m.since(m.cfg.Start) / (15 * time.Minute))
	m.note(note{
		about: claim, component: "persistentvolume-controller", warning: true, reason: "ProvisioningFailed",
		message: "failed to provision volume: the quota of the zone is exhausted",
		first:   m.claimed(claim.Namespace, claim.Name), last: m.cfg.Start.Add(time.Duration(tries) * 15 * time.Minute), count: 100 + tries,
	})
}

func (m *moment) nodeEvents() {
	number, lasts := m.nodeOutage()
	for _, one := range m.cfg.machines() {
		if !one.shaky {
			continue
		}
		for n := max(1, number-int(eventTTL/nodeEvery)); n <= number; n++ {
			began := m.at(nodeFirst + time.Duration(n-1)*nodeEvery)
			about := corev1.ObjectReference{Kind: "Node", Name: one.name}
			m.note(note{about: about, component: "node-controller", warning: true, reason: "NodeNotReady", message: "Node " + one.name + " status is now: NodeNotReady", first: began, last: began, count: 1, distinguishedByTime: true})
			if n < number || !lasts {
				ended := began.Add(nodeAway)
				m.note(note{about: about, component: "kubelet", reason: "NodeReady", message: "Node " + one.name + " status is now: NodeReady", first: ended, last: ended, count: 1, distinguishedByTime: true})
			}
		}
	}
}

func (m *moment) jobEvents() {
	shop := m.cfg.shop()
	for _, r := range m.runs {
		m.once("CronJob", shop, "settle", "cronjob-controller", "SuccessfulCreate", "Created job "+r.job, r.began)
		m.once("Job", shop, r.job, "job-controller", "Completed", "Job completed", m.ended(r))
		m.once("CronJob", shop, "settle", "cronjob-controller", "SawCompletedJob", "Saw completed job: "+r.job+", condition: Complete", m.ended(r))
	}
	at := m.reindexed().Add(3 * time.Minute)
	m.note(note{
		about: corev1.ObjectReference{Kind: "Job", Namespace: media, Name: "reindex"}, component: "job-controller", warning: true,
		reason: "BackoffLimitExceeded", message: "Job has reached the specified backoff limit", first: at, last: at, count: 1,
	})
}
