package model

// The sections of what the Kubernetes API of a cluster says. Each is a list by
// namespace, then name, of the type that its comment gives. Names are those of the
// Kubernetes API where they mean the same; what is in `spec` and `status` there lies
// side by side here, and quantities are text as there ("500m", "2Gi").
const (
	SectionKubeSummary         Section = "k8s.summary"         // KubeSummary
	SectionKubeNodes           Section = "k8s.nodes"           // []KubeNode
	SectionKubePods            Section = "k8s.pods"            // []KubePod
	SectionKubeDeployments     Section = "k8s.deployments"     // []KubeDeployment
	SectionKubeStatefulSets    Section = "k8s.statefulsets"    // []KubeStatefulSet
	SectionKubeDaemonSets      Section = "k8s.daemonsets"      // []KubeDaemonSet
	SectionKubeReplicaSets     Section = "k8s.replicasets"     // []KubeReplicaSet, without the history of deployments
	SectionKubeJobs            Section = "k8s.jobs"            // []KubeJob
	SectionKubeCronJobs        Section = "k8s.cronjobs"        // []KubeCronJob
	SectionKubeServices        Section = "k8s.services"        // []KubeService
	SectionKubeIngresses       Section = "k8s.ingresses"       // []KubeIngress
	SectionKubeNamespaces      Section = "k8s.namespaces"      // []KubeNamespace
	SectionKubeConfigMaps      Section = "k8s.configmaps"      // []KubeConfigMap
	SectionKubeSecrets         Section = "k8s.secrets"         // []KubeSecret
	SectionKubePVs             Section = "k8s.pvs"             // []KubePV
	SectionKubePVCs            Section = "k8s.pvcs"            // []KubePVC
	SectionKubeResourceQuotas  Section = "k8s.resourcequotas"  // []KubeResourceQuota
	SectionKubeLimitRanges     Section = "k8s.limitranges"     // []KubeLimitRange
	SectionKubeNetworkPolicies Section = "k8s.networkpolicies" // []KubeNetworkPolicy
	SectionKubeServiceAccounts Section = "k8s.serviceaccounts" // []KubeServiceAccount
	SectionKubeEvents          Section = "k8s.events"          // []KubeEvent, newest first
)

// KubeMetadata is what every object has.
type KubeMetadata struct {
	Namespace         string            `json:"namespace,omitempty"` // absent for what is the whole cluster's
	Name              string            `json:"name"`
	Labels            map[string]string `json:"labels,omitempty"`
	CreationTimestamp Time              `json:"creationTimestamp"`
}

// KubeRef names another object.
type KubeRef struct {
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"` // absent: the namespace of the object that refers, or none
	Name      string `json:"name"`
}

// KubeCondition is one of an object's conditions.
type KubeCondition struct {
	Type    string `json:"type"`
	Status  string `json:"status"` // True, False or Unknown
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"` // only where the status is not as it should be
}

// KubeSummary counts a cluster's objects. A part is absent where its kind may not be
// read: that is not zero.
type KubeSummary struct {
	Nodes        *KubeNodeCounts     `json:"nodes,omitempty"`
	Pods         *KubePodCounts      `json:"pods,omitempty"`
	Namespaces   *int64              `json:"namespaces,omitempty"`
	Deployments  *KubeWorkloadCounts `json:"deployments,omitempty"`
	StatefulSets *KubeWorkloadCounts `json:"statefulSets,omitempty"`
	DaemonSets   *KubeWorkloadCounts `json:"daemonSets,omitempty"`
	Jobs         *KubeJobCounts      `json:"jobs,omitempty"`
	// Warnings is the number of events of type Warning in the section k8s.events.
	Warnings *int64 `json:"warnings,omitempty"`
	// Unknown are the kinds that cannot be read, so that their part is absent.
	Unknown []string `json:"unknown"`
}

// KubeNodeCounts counts nodes.
type KubeNodeCounts struct {
	Total         int64 `json:"total"`
	Ready         int64 `json:"ready"`
	Unschedulable int64 `json:"unschedulable"`
}

// KubePodCounts counts pods by phase.
type KubePodCounts struct {
	Total     int64 `json:"total"`
	Pending   int64 `json:"pending"`
	Running   int64 `json:"running"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Unknown   int64 `json:"unknown"`
	// NotReady are those that run with a container that is not ready.
	NotReady int64 `json:"notReady"`
	Restarts int64 `json:"restarts"` // of all containers
}

// KubeWorkloadCounts counts workloads. One is healthy when all the replicas it wants
// are available (of a StatefulSet: ready).
type KubeWorkloadCounts struct {
	Total   int64 `json:"total"`
	Healthy int64 `json:"healthy"`
}

// KubeJobCounts counts jobs by KubeJob.Status.
type KubeJobCounts struct {
	Total    int64 `json:"total"`
	Active   int64 `json:"active"`
	Complete int64 `json:"complete"`
	Failed   int64 `json:"failed"`
}
