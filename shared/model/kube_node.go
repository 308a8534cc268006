package model

// KubeNode is a node.
type KubeNode struct {
	Metadata                KubeMetadata      `json:"metadata"`
	Ready                   bool              `json:"ready"` // the condition Ready is True
	Unschedulable           bool              `json:"unschedulable,omitempty"`
	Roles                   []string          `json:"roles"`
	Addresses               []KubeAddress     `json:"addresses"`
	Conditions              []KubeCondition   `json:"conditions"` // Ready, and those that are not as they should be
	Taints                  []KubeTaint       `json:"taints,omitempty"`
	Capacity                map[string]string `json:"capacity"` // without what it has none of
	Allocatable             map[string]string `json:"allocatable"`
	KubeletVersion          string            `json:"kubeletVersion"`
	OSImage                 string            `json:"osImage"`
	KernelVersion           string            `json:"kernelVersion"`
	ContainerRuntimeVersion string            `json:"containerRuntimeVersion"`
	OperatingSystem         string            `json:"operatingSystem"`
	Architecture            string            `json:"architecture"`
}

// KubeAddress is one address of a node.
type KubeAddress struct {
	Type    string `json:"type"` // InternalIP, ExternalIP, Hostname, InternalDNS or ExternalDNS
	Address string `json:"address"`
}

// KubeTaint keeps pods that do not tolerate it off a node.
type KubeTaint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}
