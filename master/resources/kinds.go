package resources

import (
	"slices"

	"github.com/atlhyper/observe/shared/model"
)

// Kind is one row of the table: a kind of objects, and how it is listed.
type Kind struct {
	// Path is the last part of the list's path: "pods".
	Path string
	// Noun is what one of them is called: "pod".
	Noun string
	// Section is the section that they lie in.
	Section model.Section
	// Namespaced tells whether they lie in namespaces.
	Namespaced bool
	// Labelled tells whether what is shown of them has labels.
	Labelled bool

	fields []field
	order  string // by which they are listed unless a query says otherwise
	// trouble tells whether somebody should look at an object; nil: never.
	trouble func(c columns, row int) bool
}

// field is a member of an object that lists are sorted by, or trouble is told by.
type field struct {
	name  string
	what  what
	plain bool // it is not sorted by
}

// what a field holds.
type what uint8

const (
	text    what = iota
	number       // a whole number
	flag         // a boolean; absent is false
	instant      // a time; absent comes first
	length       // of a list: its elements are counted
)

// Names that every kind is sorted by, besides its fields.
const (
	byName      = "name"
	byNamespace = "namespace"
	byAge       = "age" // youngest first; not of events, which have times of their own
)

// Kinds is the table.
func Kinds() []*Kind {
	const namespaced, clusterWide = true, false
	replicas := []field{{"replicas", number, false}, {"readyReplicas", number, false}}
	return []*Kind{
		row("nodes", "node", model.SectionKubeNodes, clusterWide,
			func(c columns, i int) bool { return !c.is("ready", i) },
			field{"ready", flag, false}, field{"unschedulable", flag, false}, field{"kubeletVersion", text, false}),
		row("pods", "pod", model.SectionKubePods, namespaced, podTrouble,
			field{"phase", text, false}, field{"reason", text, false}, field{"nodeName", text, false},
			field{"ready", number, false}, field{"restarts", number, false}, field{"containers", length, true}),
		row("deployments", "deployment", model.SectionKubeDeployments, namespaced, fewer("availableReplicas", "replicas"),
			append(replicas, field{"availableReplicas", number, false})...),
		row("statefulsets", "stateful set", model.SectionKubeStatefulSets, namespaced, fewer("readyReplicas", "replicas"), replicas...),
		row("daemonsets", "daemon set", model.SectionKubeDaemonSets, namespaced, fewer("numberAvailable", "desiredNumberScheduled"),
			field{"desiredNumberScheduled", number, false}, field{"numberReady", number, false}, field{"numberAvailable", number, false}),
		row("replicasets", "replica set", model.SectionKubeReplicaSets, namespaced, nil, replicas...),
		row("jobs", "job", model.SectionKubeJobs, namespaced, equals("status", "Failed"),
			field{"status", text, false}, field{"startTime", instant, false}, field{"completionTime", instant, false}),
		row("cronjobs", "cron job", model.SectionKubeCronJobs, namespaced, nil,
			field{"active", number, false}, field{"lastScheduleTime", instant, false}),
		row("services", "service", model.SectionKubeServices, namespaced, nil, field{"type", text, false}),
		row("ingresses", "ingress", model.SectionKubeIngresses, namespaced, nil, field{"ingressClassName", text, false}),
		row("namespaces", "namespace", model.SectionKubeNamespaces, clusterWide, nil, field{"phase", text, false}),
		row("configmaps", "config map", model.SectionKubeConfigMaps, namespaced, nil),
		row("secrets", "secret", model.SectionKubeSecrets, namespaced, nil, field{"type", text, false}),
		row("pvs", "persistent volume", model.SectionKubePVs, clusterWide, nil,
			field{"phase", text, false}, field{"storageClassName", text, false}),
		row("pvcs", "persistent volume claim", model.SectionKubePVCs, namespaced, nil,
			field{"phase", text, false}, field{"storageClassName", text, false}),
		row("resource-quotas", "resource quota", model.SectionKubeResourceQuotas, namespaced, nil),
		row("limit-ranges", "limit range", model.SectionKubeLimitRanges, namespaced, nil),
		row("network-policies", "network policy", model.SectionKubeNetworkPolicies, namespaced, nil),
		row("service-accounts", "service account", model.SectionKubeServiceAccounts, namespaced, nil),
		events(),
	}
}

// row is a kind whose objects have a KubeMetadata.
func row(path, noun string, section model.Section, namespaced bool, trouble func(columns, int) bool, fields ...field) *Kind {
	k := &Kind{Path: path, Noun: noun, Section: section, Namespaced: namespaced, Labelled: true, trouble: trouble}
	k.fields = append([]field{{byAge, instant, false}}, fields...)
	k.order = byName
	if namespaced {
		k.order = byNamespace
	}
	return k
}

// events have no KubeMetadata: what is shown of them is their own.
func events() *Kind {
	return &Kind{
		Path: "events", Noun: "event", Section: model.SectionKubeEvents, Namespaced: true,
		order: "-lastTimestamp", trouble: equals("type", "Warning"),
		fields: []field{
			{"type", text, false}, {"reason", text, false}, {"count", number, false},
			{"firstTimestamp", instant, false}, {"lastTimestamp", instant, false},
		},
	}
}

// Sorts are the names by which a list of the kind is sorted; "-" in front of one turns
// it around.
func (k *Kind) Sorts() []string {
	names := []string{byName}
	if k.Namespaced {
		names = append(names, byNamespace)
	}
	for _, f := range k.fields {
		if !f.plain {
			names = append(names, f.name)
		}
	}
	return names
}

// DefaultSort is how a list of the kind is sorted unless it is asked for otherwise.
func (k *Kind) DefaultSort() string { return k.order }

// column is the place of a field among the kind's, -1 for none.
func (k *Kind) column(name string) int {
	return slices.IndexFunc(k.fields, func(f field) bool { return f.name == name })
}

// podTrouble tells of what KubePodCounts does not count as well: what neither runs with
// all containers ready nor has succeeded.
func podTrouble(c columns, i int) bool {
	switch c.text("phase", i) {
	case "Running":
		return c.number("ready", i) < c.number("containers", i)
	case "Succeeded":
		return false
	default:
		return true
	}
}

// fewer tells of objects that have fewer than they want, as KubeWorkloadCounts.
func fewer(have, want string) func(columns, int) bool {
	return func(c columns, i int) bool { return c.number(have, i) < c.number(want, i) }
}

func equals(name, value string) func(columns, int) bool {
	return func(c columns, i int) bool { return c.text(name, i) == value }
}
