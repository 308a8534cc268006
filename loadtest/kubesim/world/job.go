package world

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The cron job runs at each full five minutes of the clock, as its schedule says.
const (
	cronEvery    = 5 * time.Minute
	cronSchedule = "*/5 * * * *"
	cronTakes    = 25 * time.Second
	cronKeeps    = 3 // finished jobs
)

// run is one run of the cron job.
type run struct {
	job   string
	began time.Time
	done  bool
}

func (m *moment) ended(r run) time.Time { return r.began.Add(cronTakes) }

// cronRuns are the runs that there are still events of, the newest last.
func (m *moment) cronRuns() []run {
	last := m.now.Truncate(cronEvery)
	var out []run
	for i := int(eventTTL / cronEvery); i >= 0; i-- {
		began := last.Add(-time.Duration(i) * cronEvery)
		out = append(out, run{job: fmt.Sprintf("settle-%d", began.Unix()/60), began: began, done: m.since(began) >= cronTakes})
	}
	return out
}

// kept are the runs whose jobs are there: the last that are done, and one that is not.
func kept(runs []run) []run {
	n := cronKeeps
	if !runs[len(runs)-1].done {
		n++
	}
	return runs[len(runs)-n:]
}

// task is what the jobs' pods are made from.
func (m *moment) task(namespace, name string) corev1.PodTemplateSpec {
	t := template(&app{namespace: namespace, name: name, image: "registry.example.com/" + namespace + "/" + name, tag: "2.0.1", cpu: "100m", memory: "128Mi"}, 0)
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	t.Spec.Containers[0].Ports = nil
	return t
}

func (m *moment) jobs() {
	m.runs = m.cronRuns()
	shop := m.cfg.shop()
	cron := &batchv1.CronJob{ObjectMeta: annotated(m.cfg.object("CronJob", shop, "settle", m.cfg.Start.Add(-age/2), appLabels("settle")))}
	cron.Spec = batchv1.CronJobSpec{
		Schedule: cronSchedule, ConcurrencyPolicy: batchv1.ForbidConcurrent, SuccessfulJobsHistoryLimit: new(int32(cronKeeps)),
		JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: m.task(shop, "settle")}},
	}
	for _, r := range kept(m.runs) {
		cron.Status.LastScheduleTime = new(metav1.NewTime(r.began))
		meta := controlled(m.cfg.object("Job", shop, r.job, r.began, appLabels("settle")), "batch/v1", "CronJob", cron.ObjectMeta)
		if r.done {
			cron.Status.LastSuccessfulTime = new(metav1.NewTime(m.ended(r)))
			m.job(meta, "settle", batchv1.JobComplete, m.ended(r))
		} else {
			cron.Status.Active = append(cron.Status.Active, corev1.ObjectReference{Kind: "Job", Namespace: shop, Name: r.job, UID: meta.UID})
			m.job(meta, "settle", "", time.Time{})
		}
	}
	m.add(cron)

	paused := &batchv1.CronJob{ObjectMeta: m.cfg.object("CronJob", media, "cleanup", m.cfg.Start.Add(-age/3), appLabels("cleanup"))}
	paused.Spec = batchv1.CronJobSpec{
		Schedule: "17 3 * * *", TimeZone: new("Europe/Berlin"), Suspend: new(true), ConcurrencyPolicy: batchv1.AllowConcurrent,
		JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: m.task(media, "cleanup")}},
	}
	m.add(paused)

	migrated := m.cfg.Start.Add(-26 * time.Hour)
	m.job(m.cfg.object("Job", shop, "migrate-orders", migrated, appLabels("migrate-orders")), "migrate-orders", batchv1.JobComplete, migrated.Add(4*time.Minute))
	m.job(m.cfg.object("Job", media, "reindex", m.reindexed(), appLabels("reindex")), "reindex", batchv1.JobFailed, m.reindexed().Add(3*time.Minute))
	m.job(m.cfg.object("Job", infra, "rotate-keys", m.cfg.Start.Add(-5*time.Hour), appLabels("rotate-keys")), "rotate-keys", batchv1.JobSuspended, time.Time{})
}

// reindexed is when the job that failed began: its events are still there at the start.
func (m *moment) reindexed() time.Time { return m.cfg.Start.Add(-25 * time.Minute) }

// job adds a job and its pod. how is what became of it, "" while it runs.
func (m *moment) job(meta metav1.ObjectMeta, name string, how batchv1.JobConditionType, ended time.Time) {
	j := &batchv1.Job{ObjectMeta: meta}
	j.Spec = batchv1.JobSpec{Template: m.task(meta.Namespace, name), Parallelism: new(int32(1)), Completions: new(int32(1)), BackoffLimit: new(int32(2))}
	j.Status.StartTime = new(meta.CreationTimestamp)
	status := corev1.PodStatus{Phase: corev1.PodRunning}
	container := corev1.ContainerStatus{Name: name, Image: j.Spec.Template.Spec.Containers[0].Image}
	terminated := &corev1.ContainerStateTerminated{StartedAt: meta.CreationTimestamp, FinishedAt: metav1.NewTime(ended)}
	condition := batchv1.JobCondition{Type: how, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(ended)}
	switch how {
	case batchv1.JobComplete:
		j.Status.Succeeded, j.Status.CompletionTime = 1, &terminated.FinishedAt
		condition.Reason, condition.Message = "CompletionsReached", "Reached expected number of succeeded pods"
		status.Phase, terminated.Reason = corev1.PodSucceeded, "Completed"
		container.State.Terminated = terminated
	case batchv1.JobFailed:
		j.Status.Failed = 3
		condition.Reason, condition.Message = "BackoffLimitExceeded", "Job has reached the specified backoff limit"
		status.Phase, terminated.Reason, terminated.ExitCode = corev1.PodFailed, "Error", 2
		container.State.Terminated = terminated
	case batchv1.JobSuspended:
		j.Spec.Suspend, j.Status.StartTime = new(true), nil
		condition.Reason, condition.Message = "JobSuspended", "Job suspended"
	default:
		j.Status.Active = 1
		container.Ready, container.State.Running = true, &corev1.ContainerStateRunning{StartedAt: meta.CreationTimestamp}
	}
	if how != "" {
		j.Status.Conditions = []batchv1.JobCondition{condition}
	}
	m.add(j)
	if how == batchv1.JobSuspended {
		return
	}
	status.ContainerStatuses, status.StartTime = []corev1.ContainerStatus{container}, new(meta.CreationTimestamp)
	p := &corev1.Pod{ObjectMeta: controlled(m.cfg.object("Pod", meta.Namespace, meta.Name+"-"+m.cfg.suffix(5, meta.Name), meta.CreationTimestamp.Time, appLabels(name)), "batch/v1", "Job", meta)}
	p.Spec, p.Status = j.Spec.Template.Spec, status
	p.Spec.NodeName = m.cfg.machines()[1+m.cfg.below(2, meta.Name)].name // one that is never away
	m.add(p)
}
