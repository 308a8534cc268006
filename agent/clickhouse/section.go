package clickhouse

import (
	"context"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// Section is a traces or SLO section over another range than the snapshot's:
// the type of that section. Ranges of SLOs are read a day at a time; the
// deadline of ctx bounds the whole.
func (s *Store) Section(ctx context.Context, r detail.Section) (any, detail.Meta, error) {
	meta := detail.Meta{WindowSeconds: wholeSeconds(r.Range.Duration())}
	data, err := s.section(ctx, r)
	if err != nil {
		return nil, meta, err
	}
	return data, meta, nil
}

func (s *Store) section(ctx context.Context, r detail.Section) (any, error) {
	switch r.Name {
	case model.SectionTracesServices:
		return s.services(ctx, r.Range)
	case model.SectionTracesTopology:
		return s.topology(ctx, r.Range)
	case model.SectionSLOIngress, model.SectionSLOServices, model.SectionSLOEdges, model.SectionSLOSummary:
		traffic, err := s.traffic(ctx, rangeWindow(r.Range))
		if err != nil {
			return nil, err
		}
		switch r.Name {
		case model.SectionSLOIngress:
			return traffic.ingressRows(), nil
		case model.SectionSLOServices:
			return traffic.serviceRows(), nil
		case model.SectionSLOEdges:
			return traffic.edgeRows(), nil
		}
		return sloSummary(traffic.ingressRows(), traffic.serviceRows()), nil
	}
	return nil, fault.New(fault.BadRequest, "section: %q cannot be asked for over a time range", string(r.Name))
}
