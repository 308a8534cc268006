package kube

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/atlhyper/observe/shared/model"
)

func showDeployment(d *appsv1.Deployment) *model.KubeDeployment {
	out := &model.KubeDeployment{
		Metadata: metadataOf(&d.ObjectMeta), Replicas: int64(or(d.Spec.Replicas, 1)),
		ReadyReplicas: int64(d.Status.ReadyReplicas), UpdatedReplicas: int64(d.Status.UpdatedReplicas),
		AvailableReplicas: int64(d.Status.AvailableReplicas),
		Strategy:          string(d.Spec.Strategy.Type), Paused: d.Spec.Paused, Selector: selectorOf(d.Spec.Selector),
		Images: images(&d.Spec.Template.Spec), Conditions: make([]model.KubeCondition, 0, len(d.Status.Conditions)),
	}
	for _, c := range d.Status.Conditions {
		want := corev1.ConditionTrue
		if c.Type == appsv1.DeploymentReplicaFailure {
			want = corev1.ConditionFalse
		}
		out.Conditions = append(out.Conditions, condition(string(c.Type), c.Status, want, c.Reason, c.Message))
	}
	return out
}

func showStatefulSet(s *appsv1.StatefulSet) *model.KubeStatefulSet {
	return &model.KubeStatefulSet{
		Metadata: metadataOf(&s.ObjectMeta), Replicas: int64(or(s.Spec.Replicas, 1)),
		ReadyReplicas: int64(s.Status.ReadyReplicas), CurrentReplicas: int64(s.Status.CurrentReplicas),
		UpdatedReplicas: int64(s.Status.UpdatedReplicas),
		ServiceName:     s.Spec.ServiceName, Selector: selectorOf(s.Spec.Selector), Images: images(&s.Spec.Template.Spec),
	}
}

func showDaemonSet(d *appsv1.DaemonSet) *model.KubeDaemonSet {
	return &model.KubeDaemonSet{
		Metadata:               metadataOf(&d.ObjectMeta),
		DesiredNumberScheduled: int64(d.Status.DesiredNumberScheduled), CurrentNumberScheduled: int64(d.Status.CurrentNumberScheduled),
		UpdatedNumberScheduled: int64(d.Status.UpdatedNumberScheduled), NumberReady: int64(d.Status.NumberReady),
		NumberAvailable: int64(d.Status.NumberAvailable), NumberMisscheduled: int64(d.Status.NumberMisscheduled),
		Selector: selectorOf(d.Spec.Selector), Images: images(&d.Spec.Template.Spec),
	}
}

func showReplicaSet(r *appsv1.ReplicaSet) *model.KubeReplicaSet {
	out := &model.KubeReplicaSet{
		Metadata: metadataOf(&r.ObjectMeta), Owner: ownerOf(&r.ObjectMeta), Replicas: int64(or(r.Spec.Replicas, 1)),
		ReadyReplicas: int64(r.Status.ReadyReplicas), AvailableReplicas: int64(r.Status.AvailableReplicas),
		Images: images(&r.Spec.Template.Spec),
	}
	// A deployment keeps ten earlier revisions: ten times as many as what runs.
	if out.Owner != nil && out.Replicas == 0 && r.Status.Replicas == 0 {
		return nil
	}
	return out
}

// Values of KubeJob.Status.
const (
	jobActive    = "Active"
	jobSuspended = "Suspended"
	jobComplete  = "Complete"
	jobFailed    = "Failed"
)

func showJob(j *batchv1.Job) *model.KubeJob {
	out := &model.KubeJob{
		Metadata: metadataOf(&j.ObjectMeta), Owner: ownerOf(&j.ObjectMeta), Status: jobActive,
		Completions: int64(or(j.Spec.Completions, 0)), Parallelism: int64(or(j.Spec.Parallelism, 1)),
		Active: int64(j.Status.Active), Succeeded: int64(j.Status.Succeeded), Failed: int64(j.Status.Failed),
		StartTime: timeOf(j.Status.StartTime), CompletionTime: timeOf(j.Status.CompletionTime),
		Images: images(&j.Spec.Template.Spec),
	}
	if or(j.Spec.Suspend, false) {
		out.Status = jobSuspended
	}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			out.Status = jobComplete
		case batchv1.JobFailed:
			out.Status, out.Reason = jobFailed, c.Reason
		}
	}
	return out
}

func showCronJob(c *batchv1.CronJob) *model.KubeCronJob {
	return &model.KubeCronJob{
		Metadata: metadataOf(&c.ObjectMeta), Schedule: c.Spec.Schedule, TimeZone: or(c.Spec.TimeZone, ""),
		Suspend: or(c.Spec.Suspend, false), ConcurrencyPolicy: string(c.Spec.ConcurrencyPolicy), Active: int64(len(c.Status.Active)),
		LastScheduleTime: timeOf(c.Status.LastScheduleTime), LastSuccessfulTime: timeOf(c.Status.LastSuccessfulTime),
		Images: images(&c.Spec.JobTemplate.Spec.Template.Spec),
	}
}
