package promql

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// TestLongRanges compares slo.ingress over ranges of days, which the store reads
// in parts and joins.
func TestLongRanges(t *testing.T) {
	t.Parallel()
	traefik, nginx := traefikSource(), nginxSource()
	s := suite{
		moments: genDays, generate: genSparse, report: reportIngressRange, size: 40,
		queries: append(traefik.queries(), nginx.queries()...),
	}
	s.run(t)
}

// genDays draws windows of days.
func genDays() *rapid.Generator[moment] {
	return rapid.Custom(func(t *rapid.T) moment {
		m := genMoment().Draw(t, "moment")
		m.window = rapid.SampledFrom([]time.Duration{24 * time.Hour, 25 * time.Hour, 49 * time.Hour, 80 * time.Hour}).Draw(t, "days")
		return m
	})
}

func reportIngressRange(ctx context.Context, w *world) (reported, error) {
	data, _, err := w.store.Section(ctx, detail.Section{
		Name: model.SectionSLOIngress, Range: detail.NewRange(w.at.Add(-w.window), w.at),
	})
	if err != nil {
		return reported{}, err
	}
	rows, ok := data.([]model.IngressSLO)
	if !ok {
		return reported{}, fmt.Errorf("slo.ingress is a %T", data)
	}
	return ingressReported(rows), nil
}

// genSparse draws the ingress of a short window and stretches its time.
func genSparse(t *rapid.T, m moment) testCase {
	const short = 5 * time.Minute
	c := genIngress(t, moment{at: m.at, window: short})
	factor := int64(m.window/short) + 1
	for i := range c.series {
		points := c.series[i].points
		for j := range points {
			points[j].at = m.at.Unix() - (m.at.Unix()-points[j].at)*factor
		}
	}
	return c
}
