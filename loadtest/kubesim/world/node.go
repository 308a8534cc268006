package world

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// machine is one row of the table of nodes.
type machine struct {
	name, ip string
	control  bool // the control plane: it sends no metrics
	shaky    bool // its kubelet is away at times
}

// machines are the nodes: the three that send metrics, and one that does not.
func (c Config) machines() []machine {
	out := []machine{{name: c.Name + "-control-1", ip: c.address(1, 10), control: true}}
	for i := 1; i <= 3; i++ {
		out = append(out, machine{name: fmt.Sprintf("%s-worker-%d", c.Name, i), ip: c.address(1, 10+i), shaky: i == 3})
	}
	return out
}

// away is whether the node's kubelet does not answer now.
func (m *moment) away(node string) bool {
	_, lasts := m.nodeOutage()
	for _, one := range m.cfg.machines() {
		if one.name == node {
			return one.shaky && lasts
		}
	}
	return false
}

// heartbeat is how often a kubelet says that nothing changed.
const heartbeat = time.Minute

func (m *moment) nodes() {
	for _, one := range m.cfg.machines() {
		created := m.cfg.Start.Add(-age)
		node := &corev1.Node{ObjectMeta: m.cfg.object("Node", "", one.name, created, map[string]string{
			corev1.LabelHostname: one.name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
			corev1.LabelTopologyZone: m.cfg.Name + "-a",
		})}
		resources := corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("24682416Ki"),
			corev1.ResourceEphemeralStorage: resource.MustParse("264212084Ki"), corev1.ResourcePods: resource.MustParse("110"),
		}
		node.Status = corev1.NodeStatus{
			Capacity: resources, Allocatable: resources.DeepCopy(),
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: one.ip}, {Type: corev1.NodeHostName, Address: one.name}},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: version, OSImage: "Debian GNU/Linux 12 (bookworm)", KernelVersion: "6.18.44-fc-v445",
				ContainerRuntimeVersion: "containerd://2.2.1", OperatingSystem: "linux", Architecture: "amd64",
				MachineID: string(m.cfg.uid("machine", one.name)),
			},
			Conditions: m.nodeConditions(one, created),
		}
		node.Status.Allocatable[corev1.ResourceMemory] = resource.MustParse("24580016Ki")
		if one.control {
			node.Labels["node-role.kubernetes.io/control-plane"] = ""
			node.Spec.Taints = []corev1.Taint{{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}}
		}
		if m.away(one.name) {
			node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoSchedule})
		}
		m.add(node)
	}
}

func (m *moment) nodeConditions(one machine, created time.Time) []corev1.NodeCondition {
	beat := created.Add(m.since(created).Truncate(heartbeat))
	changed := created
	number, lasts := m.nodeOutage()
	if one.shaky && number > 0 {
		changed = m.at(nodeFirst + time.Duration(number-1)*nodeEvery)
		if lasts {
			beat = changed.Add(-heartbeat / 2)
		} else {
			changed = changed.Add(nodeAway)
		}
	}
	row := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		if m.away(one.name) {
			status, reason, message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
		}
		return corev1.NodeCondition{
			Type: kind, Status: status, Reason: reason, Message: message,
			LastHeartbeatTime: metav1.NewTime(beat), LastTransitionTime: metav1.NewTime(changed),
		}
	}
	return []corev1.NodeCondition{
		row(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		row(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		row(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		row(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
	}
}
