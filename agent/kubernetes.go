package agent

import (
	"context"

	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/shared/model"
)

// Kubernetes is the API of the cluster that the agent is in; *kube.Cluster is one.
// Its methods may be called from several goroutines at once.
type Kubernetes interface {
	// Run follows the API until ctx is done. The agent calls it once.
	Run(ctx context.Context)
	// Sections names the sections that it has.
	Sections() []model.Section
	// Section returns a section as it is now; see kube.Cluster.
	Section(name model.Section) (kube.Section, error)
	// Changed is sent to after a change of what any section shows.
	Changed() <-chan struct{}
	// ID asks for what tells the cluster from all others.
	ID(ctx context.Context) (string, error)
	// NodeNames returns the names of nodes by what telemetry may call them.
	NodeNames() (map[string]string, error)
}
