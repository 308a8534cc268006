package model

// KubeService is a service.
type KubeService struct {
	Metadata     KubeMetadata      `json:"metadata"`
	Type         string            `json:"type"` // ClusterIP, NodePort, LoadBalancer or ExternalName
	ClusterIP    string            `json:"clusterIP,omitempty"`
	ExternalName string            `json:"externalName,omitempty"`
	ExternalIPs  []string          `json:"externalIPs,omitempty"` // with the load balancer's addresses
	Ports        []KubeServicePort `json:"ports"`
	Selector     string            `json:"selector,omitempty"`
	// Endpoints is absent where endpoint slices may not be read.
	Endpoints *KubeEndpoints `json:"endpoints,omitempty"`
}

// KubeServicePort is a port of a service.
type KubeServicePort struct {
	Name       string `json:"name,omitempty"`
	Protocol   string `json:"protocol"`
	Port       int64  `json:"port"`
	TargetPort string `json:"targetPort"` // a number or a name
	NodePort   int64  `json:"nodePort,omitempty"`
}

// KubeEndpoints counts the endpoints of a service in all its endpoint slices. A pod
// with addresses of two families counts once in each.
type KubeEndpoints struct {
	Ready    int64 `json:"ready"`
	NotReady int64 `json:"notReady"`
}

// KubeIngress is an ingress.
type KubeIngress struct {
	Metadata         KubeMetadata      `json:"metadata"`
	IngressClassName string            `json:"ingressClassName,omitempty"`
	Rules            []KubeIngressRule `json:"rules"`
	DefaultBackend   string            `json:"defaultBackend,omitempty"` // as KubeIngressRule.Backend
	TLSHosts         []string          `json:"tlsHosts,omitempty"`
	Addresses        []string          `json:"addresses"` // of its load balancer
}

// KubeIngressRule is one path of one host.
type KubeIngressRule struct {
	Host     string `json:"host,omitempty"` // absent: every host
	Path     string `json:"path,omitempty"`
	PathType string `json:"pathType,omitempty"`
	Backend  string `json:"backend"` // service:port, or kind/name of another resource
}

// KubeNetworkPolicy is a network policy; its rules are counted.
type KubeNetworkPolicy struct {
	Metadata     KubeMetadata `json:"metadata"`
	PodSelector  string       `json:"podSelector"` // "" selects all pods
	PolicyTypes  []string     `json:"policyTypes"`
	IngressRules int64        `json:"ingressRules"`
	EgressRules  int64        `json:"egressRules"`
}
