package model

// KubePod is a pod. There are many: what most have in common is left out, such as the
// state of a container that runs.
type KubePod struct {
	Metadata KubeMetadata `json:"metadata"`
	Phase    string       `json:"phase"` // Pending, Running, Succeeded, Failed or Unknown
	// Reason is why it is not simply what its phase says, as kubectl's column STATUS
	// has it: CrashLoopBackOff, Evicted, Init:Error, Terminating.
	Reason     string          `json:"reason,omitempty"`
	NodeName   string          `json:"nodeName,omitempty"` // absent until it is scheduled
	PodIP      string          `json:"podIP,omitempty"`
	Owner      *KubeRef        `json:"owner,omitempty"` // its controller
	Ready      int64           `json:"ready"`           // containers that are
	Restarts   int64           `json:"restarts"`        // of its containers
	Containers []KubeContainer `json:"containers"`
}

// KubeContainer is a container of a pod.
type KubeContainer struct {
	Name     string `json:"name"`
	Image    string `json:"image"`
	Ready    bool   `json:"ready"`
	Restarts int64  `json:"restartCount,omitempty"`
	State    string `json:"state,omitempty"`  // waiting or terminated; absent while it runs
	Reason   string `json:"reason,omitempty"` // why it waits or ended
}

// KubeDeployment is a deployment.
type KubeDeployment struct {
	Metadata          KubeMetadata    `json:"metadata"`
	Replicas          int64           `json:"replicas"` // wanted
	ReadyReplicas     int64           `json:"readyReplicas"`
	UpdatedReplicas   int64           `json:"updatedReplicas"`
	AvailableReplicas int64           `json:"availableReplicas"`
	Strategy          string          `json:"strategy,omitempty"`
	Paused            bool            `json:"paused,omitempty"`
	Selector          string          `json:"selector"` // as kubectl -l takes it
	Images            []string        `json:"images"`
	Conditions        []KubeCondition `json:"conditions"`
}

// KubeStatefulSet is a stateful set.
type KubeStatefulSet struct {
	Metadata        KubeMetadata `json:"metadata"`
	Replicas        int64        `json:"replicas"` // wanted
	ReadyReplicas   int64        `json:"readyReplicas"`
	CurrentReplicas int64        `json:"currentReplicas"`
	UpdatedReplicas int64        `json:"updatedReplicas"`
	ServiceName     string       `json:"serviceName,omitempty"`
	Selector        string       `json:"selector"`
	Images          []string     `json:"images"`
}

// KubeDaemonSet is a daemon set.
type KubeDaemonSet struct {
	Metadata               KubeMetadata `json:"metadata"`
	DesiredNumberScheduled int64        `json:"desiredNumberScheduled"`
	CurrentNumberScheduled int64        `json:"currentNumberScheduled"`
	UpdatedNumberScheduled int64        `json:"updatedNumberScheduled"`
	NumberReady            int64        `json:"numberReady"`
	NumberAvailable        int64        `json:"numberAvailable"`
	NumberMisscheduled     int64        `json:"numberMisscheduled"`
	Selector               string       `json:"selector"`
	Images                 []string     `json:"images"`
}

// KubeReplicaSet is a replica set. Those of a deployment's earlier revisions, which
// want and have no pods, are not shown.
type KubeReplicaSet struct {
	Metadata          KubeMetadata `json:"metadata"`
	Owner             *KubeRef     `json:"owner,omitempty"`
	Replicas          int64        `json:"replicas"` // wanted
	ReadyReplicas     int64        `json:"readyReplicas"`
	AvailableReplicas int64        `json:"availableReplicas"`
	Images            []string     `json:"images"`
}

// KubeJob is a job.
type KubeJob struct {
	Metadata       KubeMetadata `json:"metadata"`
	Owner          *KubeRef     `json:"owner,omitempty"`
	Status         string       `json:"status"`                // Active, Suspended, Complete or Failed
	Reason         string       `json:"reason,omitempty"`      // why it failed
	Completions    int64        `json:"completions,omitempty"` // wanted; absent where one success ends it
	Parallelism    int64        `json:"parallelism"`
	Active         int64        `json:"active"`
	Succeeded      int64        `json:"succeeded"`
	Failed         int64        `json:"failed"`
	StartTime      Time         `json:"startTime,omitempty"`
	CompletionTime Time         `json:"completionTime,omitempty"`
	Images         []string     `json:"images"`
}

// KubeCronJob is a cron job.
type KubeCronJob struct {
	Metadata           KubeMetadata `json:"metadata"`
	Schedule           string       `json:"schedule"`
	TimeZone           string       `json:"timeZone,omitempty"`
	Suspend            bool         `json:"suspend,omitempty"`
	ConcurrencyPolicy  string       `json:"concurrencyPolicy"`
	Active             int64        `json:"active"` // jobs that run
	LastScheduleTime   Time         `json:"lastScheduleTime,omitempty"`
	LastSuccessfulTime Time         `json:"lastSuccessfulTime,omitempty"`
	Images             []string     `json:"images"`
}
