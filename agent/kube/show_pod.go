package kube

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/atlhyper/observe/shared/model"
)

// States of a container.
const (
	waiting    = "waiting"
	running    = "running"
	terminated = "terminated"
)

func showPod(p *corev1.Pod) *model.KubePod {
	out := &model.KubePod{
		Metadata: metadataOf(&p.ObjectMeta), Phase: string(p.Status.Phase),
		NodeName: p.Spec.NodeName, PodIP: p.Status.PodIP, QOSClass: string(p.Status.QOSClass), Owner: ownerOf(&p.ObjectMeta),
		Containers: make([]model.KubeContainer, 0, len(p.Spec.Containers)),
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
	out := model.KubeContainer{Name: c.Name, Image: c.Image}
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
		return running, ""
	case s.Terminated != nil:
		return terminated, s.Terminated.Reason
	}
	return "", ""
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
