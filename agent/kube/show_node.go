package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/atlhyper/observe/shared/model"
)

// roleLabel is the prefix of labels that give a node a role.
const roleLabel = "node-role.kubernetes.io/"

func showNode(n *corev1.Node) *model.KubeNode {
	info := n.Status.NodeInfo
	out := &model.KubeNode{
		Metadata: metadataOf(&n.ObjectMeta), Unschedulable: n.Spec.Unschedulable,
		Roles: []string{}, Addresses: make([]model.KubeAddress, len(n.Status.Addresses)), Conditions: []model.KubeCondition{},
		Capacity: some(n.Status.Capacity), Allocatable: some(n.Status.Allocatable),
		KubeletVersion: info.KubeletVersion, OSImage: info.OSImage, KernelVersion: info.KernelVersion,
		ContainerRuntimeVersion: info.ContainerRuntimeVersion, OperatingSystem: info.OperatingSystem, Architecture: info.Architecture,
	}
	for label := range n.Labels {
		if role, ok := strings.CutPrefix(label, roleLabel); ok && role != "" {
			out.Roles = append(out.Roles, role)
		}
	}
	slices.Sort(out.Roles)
	for i, a := range n.Status.Addresses {
		out.Addresses[i] = model.KubeAddress{Type: string(a.Type), Address: a.Address}
	}
	for _, c := range n.Status.Conditions {
		// Ready should be True, every other one False. What is as it should be needs no
		// words. Heartbeats are not shown: they would change the section each minute.
		want := corev1.ConditionFalse
		if c.Type == corev1.NodeReady {
			want = corev1.ConditionTrue
			out.Ready = c.Status == want
		} else if c.Status == want {
			continue
		}
		out.Conditions = append(out.Conditions, condition(string(c.Type), c.Status, want, c.Reason, c.Message))
	}
	for _, t := range n.Spec.Taints {
		out.Taints = append(out.Taints, model.KubeTaint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
	}
	return out
}

// condition has its message only where its status is not the one that is wanted.
func condition(name string, status, want corev1.ConditionStatus, reason, message string) model.KubeCondition {
	c := model.KubeCondition{Type: name, Status: string(status), Reason: reason}
	if status != want {
		c.Message = clip(message, maxMessage)
	}
	return c
}
