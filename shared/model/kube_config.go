package model

// KubeNamespace is a namespace.
type KubeNamespace struct {
	Metadata KubeMetadata `json:"metadata"`
	Phase    string       `json:"phase"` // Active or Terminating
}

// KubeConfigMap is a config map without its values.
type KubeConfigMap struct {
	Metadata  KubeMetadata `json:"metadata"`
	Keys      []string     `json:"keys"`
	Immutable bool         `json:"immutable,omitempty"`
}

// KubeSecret is a secret without its values.
type KubeSecret struct {
	Metadata  KubeMetadata `json:"metadata"`
	Type      string       `json:"type"`
	Keys      []string     `json:"keys"`
	Immutable bool         `json:"immutable,omitempty"`
}

// KubeServiceAccount is a service account, of which only metadata is read.
type KubeServiceAccount struct {
	Metadata KubeMetadata `json:"metadata"`
}

// KubeResourceQuota is a resource quota.
type KubeResourceQuota struct {
	Metadata KubeMetadata      `json:"metadata"`
	Hard     map[string]string `json:"hard"`
	Used     map[string]string `json:"used"`
}

// KubeLimitRange is a limit range.
type KubeLimitRange struct {
	Metadata KubeMetadata    `json:"metadata"`
	Limits   []KubeLimitItem `json:"limits"`
}

// KubeLimitItem is what a limit range says of one type of object.
type KubeLimitItem struct {
	Type                 string            `json:"type"` // Container, Pod or PersistentVolumeClaim
	Max                  map[string]string `json:"max,omitempty"`
	Min                  map[string]string `json:"min,omitempty"`
	Default              map[string]string `json:"default,omitempty"`
	DefaultRequest       map[string]string `json:"defaultRequest,omitempty"`
	MaxLimitRequestRatio map[string]string `json:"maxLimitRequestRatio,omitempty"`
}

// KubeEvent is an event of the last hour.
type KubeEvent struct {
	Namespace      string  `json:"namespace,omitempty"`
	Name           string  `json:"name"`
	Type           string  `json:"type"` // Normal or Warning
	Reason         string  `json:"reason"`
	Message        string  `json:"message"`
	Count          int64   `json:"count"` // how often it happened: 1 or more
	FirstTimestamp Time    `json:"firstTimestamp"`
	LastTimestamp  Time    `json:"lastTimestamp"`
	InvolvedObject KubeRef `json:"involvedObject"`
	Component      string  `json:"component,omitempty"` // that reports it
}
