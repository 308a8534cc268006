package clickhouse

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// Logs returns one page of the log records that hold all filters, newest first,
// how many there are on all pages, and the facets, each of the 50 most frequent
// values under all filters but its own. They are five statements, run side by
// side. Without a logs table all is empty.
//
// The query is a substring of the body in any case; nothing in it is special. The
// service of a record without one is its deployment, container or pod. The level
// is that of the severity number, or where there is none, of the source's word
// for it. Pages by cursor hold each record once, also while others arrive.
func (s *Store) Logs(ctx context.Context, req detail.Logs) (model.LogPage, detail.Meta, error) {
	meta := detail.Meta{WindowSeconds: int64(req.Range.Duration().Seconds())}
	page := model.LogPage{Logs: []model.LogRecord{}}
	from := firstLogKey(req.Range.EndTime())
	if req.Cursor != "" {
		var err error
		if from, err = decodeLogCursor(req.Cursor, req.Range); err != nil {
			return page, meta, err
		}
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		page.Logs, meta.NextCursor, err = s.logPage(gctx, req, from)
		return err
	})
	group.Go(func() (err error) {
		page.Total, err = s.logTotal(gctx, req)
		return err
	})
	for _, facet := range []struct {
		statement, filter string
		values            *[]model.FacetValue
	}{
		{"log_services", "service", &page.Facets.Services},
		{"log_severities", "level", &page.Facets.Severities},
		{"log_scopes", "scope", &page.Facets.Scopes},
	} {
		group.Go(func() (err error) {
			p := logParams(req)
			p[facet.filter] = ""
			*facet.values, err = query(gctx, s, facet.statement, p, scanFacet)
			return err
		})
	}
	err := group.Wait()
	if isUnknownTable(err) {
		return emptyLogPage(), meta, nil
	}
	return page, meta, err
}

func emptyLogPage() model.LogPage {
	return model.LogPage{Logs: []model.LogRecord{}, Facets: model.LogFacets{
		Services: []model.FacetValue{}, Severities: []model.FacetValue{}, Scopes: []model.FacetValue{},
	}}
}

// logParams binds the filters; "" is no filter.
func logParams(req detail.Logs) params {
	p := rangeParams(req.Range)
	maps.Copy(p, params{
		"query": req.Query, "service": req.Service, "level": strings.ToUpper(req.Level), "scope": req.Scope,
		"trace_id": req.TraceID, "span_id": req.SpanID,
	})
	return p
}

// logRow is a record and its place.
type logRow struct {
	model.LogRecord
	key logKey
}

// logPage returns the records from a place on, and the cursor that continues.
func (s *Store) logPage(ctx context.Context, req detail.Logs, from logKey) ([]model.LogRecord, string, error) {
	skip := req.Offset + int64(from.seen)
	p := logParams(req)
	maps.Copy(p, params{
		"end":     from.at + 1,
		"from_at": from.at, "from_tie": from.tie,
		"offset": skip, "limit": req.Limit + 1, "reach": skip + req.Limit + 1,
	})
	rows, err := query(ctx, s, "log_page", p, scanLog)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if limit := int(req.Limit); len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].key.cursor()
	}
	records := make([]model.LogRecord, 0, len(rows))
	for _, row := range rows {
		records = append(records, row.LogRecord)
	}
	return records, next, nil
}

func scanLog(rows driver.Rows) (logRow, error) {
	var r logRow
	var attributes, resource attributeMap
	err := rows.Scan(&r.key.at, &r.key.tie, &r.key.seen, &r.TraceID, &r.SpanID,
		&r.Severity, &r.SeverityNum, &r.ServiceName, &r.Body, &r.ScopeName, &attributes, &resource)
	r.Attributes, r.Resource = attributes, resource
	r.Timestamp = model.NewTime(time.Unix(0, r.key.at))
	return r, err
}

func (s *Store) logTotal(ctx context.Context, req detail.Logs) (int64, error) {
	rows, err := query(ctx, s, "log_total", logParams(req), func(rows driver.Rows) (n int64, err error) {
		return n, rows.Scan(&n)
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0], nil
}

func scanFacet(rows driver.Rows) (f model.FacetValue, err error) {
	return f, rows.Scan(&f.Value, &f.Count)
}
