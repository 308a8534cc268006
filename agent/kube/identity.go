package kube

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/atlhyper/observe/shared/model"
)

// ID is what tells this cluster from all others: the UID of the namespace kube-system,
// which lives as long as the cluster. It asks the API server and needs the right to
// get that namespace.
func (c *Cluster) ID(ctx context.Context) (string, error) {
	namespace, err := c.clients.metadata.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).
		Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("the cluster's id: %w", err)
	}
	return string(namespace.UID), nil
}

// NodeNames returns the names of nodes by what telemetry may call them: InternalIP,
// Hostname and the name itself. Errors are those of the section k8s.nodes. An address
// that two nodes claim names neither. The map is the caller's.
func (c *Cluster) NodeNames() (map[string]string, error) {
	s, err := c.names.get(c.cfg.Clock())
	names, ok := s.Value.(map[string]string)
	if !ok {
		return nil, err
	}
	return maps.Clone(names), err
}

// nodeNames builds the map of NodeNames.
func nodeNames(nodes *informer) *section {
	return &section{
		inputs: []*informer{nodes}, needed: 1,
		build: func(time.Time, []reading) (any, time.Time) {
			return namesOf(list[model.KubeNode](nodes.items())), time.Time{}
		},
	}
}

func namesOf(nodes []*model.KubeNode) map[string]string {
	names := make(map[string]string, 3*len(nodes))
	claimed := make(map[string]bool)
	for _, n := range nodes {
		for _, a := range n.Addresses {
			if a.Type != string(corev1.NodeInternalIP) && a.Type != string(corev1.NodeHostName) {
				continue
			}
			if other, ok := names[a.Address]; ok && other != n.Metadata.Name {
				claimed[a.Address] = true
			}
			names[a.Address] = n.Metadata.Name
		}
	}
	maps.DeleteFunc(names, func(address, _ string) bool { return claimed[address] })
	// A name is its node's, whatever others call themselves.
	for _, n := range nodes {
		names[n.Metadata.Name] = n.Metadata.Name
	}
	return names
}
