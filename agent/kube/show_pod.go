package kube

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/atlhyper/observe/shared/model"
)

// States of a container; that it runs is "".
const (
	waiting    = "waiting"
	terminated = "terminated"
)

// hashes are labels that controllers use to tell generations of their pods apart.
// Each is of no use to others and a twentieth of the section.
func hashes() []string {
	return []string{appsv1.DefaultDeploymentUniqueLabelKey, appsv1.ControllerRevisionHashLabelKey}
}

func showPod(p *corev1.Pod) *model.KubePod {
	out := &model.KubePod{
		Metadata: metadataOf(&p.ObjectMeta), Phase: string(p.Status.Phase),
		NodeName: p.Spec.NodeName, PodIP: p.Status.PodIP, Owner: ownerOf(&p.ObjectMeta),
		Containers: make([]model.KubeContainer, 0, len(p.Spec.Containers)),
	}
	out.Metadata.Labels = maps.Clone(out.Metadata.Labels)
	for _, label := range hashes() {
		delete(out.Metadata.Labels, label)
	}
	statuses := make(map[string]*corev1.ContainerStatus, len(p.Status.ContainerStatuses))
	for i := range p.Status.ContainerStatuses {
		statuses[p.Status.ContainerStatuses[i].Name] = &p.Status.ContainerStatuses[i]
	}
	for i := range p.Spec.Containers {
		c := showContainer(&p.Spec.Containers[i], statuses[p.Spec.Containers[i].Name])
		if c.Ready {
			out.Ready++
		}
		out.Restarts += c.Restarts
		out.Containers = append(out.Containers, c)
	}
	out.Reason = reasonOf(p, out.Containers)
	return out
}

// showContainer joins what is wanted with what the node says of it, nil before it does.
func showContainer(c *corev1.Container, s *corev1.ContainerStatus) model.KubeContainer {
	out := model.KubeContainer{Name: c.Name, Image: c.Image, State: waiting}
	if s == nil {
		return out
	}
	out.Ready, out.Restarts = s.Ready, int64(s.RestartCount)
	out.State, out.Reason = stateOf(s.State)
	return out
}

func stateOf(s corev1.ContainerState) (state, reason string) {
	switch {
	case s.Waiting != nil:
		return waiting, s.Waiting.Reason
	case s.Running != nil:
		return "", ""
	case s.Terminated != nil:
		return terminated, s.Terminated.Reason
	}
	return waiting, "" // the API's word for a state that is not said
}

// reasonOf is the first that holds of: it is being deleted, the pod's own reason, an
// init container that failed or waits, a container that waits or ended.
func reasonOf(p *corev1.Pod, containers []model.KubeContainer) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	if p.Status.Reason != "" {
		return p.Status.Reason
	}
	for i := range p.Status.InitContainerStatuses {
		s := p.Status.InitContainerStatuses[i].State
		switch {
		case s.Waiting != nil && s.Waiting.Reason != "" && s.Waiting.Reason != "PodInitializing":
			return "Init:" + s.Waiting.Reason
		case s.Terminated != nil && s.Terminated.ExitCode != 0:
			if s.Terminated.Reason == "" {
				return "Init:Error"
			}
			return "Init:" + s.Terminated.Reason
		}
	}
	for _, c := range containers {
		if c.State == waiting || c.State == terminated && p.Status.Phase != corev1.PodSucceeded {
			if c.Reason != "" {
				return c.Reason
			}
		}
	}
	return ""
}
