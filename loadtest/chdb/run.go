//go:build linux || darwin

package chdb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/atlhyper/observe/loadtest/chdb/libchdb"
)

// isRowFormat reports whether a format has no frame around its rows: the
// engine's chunks of such an answer can be sent one after the other. All
// others repeat their frame in each chunk and have to be formatted whole.
func isRowFormat(format string) bool {
	switch strings.ToLower(format) {
	case "native", "null", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "raw", "csv", "tskv",
		"lineasstring", "rawblob", "jsoneachrow", "jsonlines", "ndjson", "jsonstringseachrow",
		"jsoncompacteachrow", "jsoncompactstringseachrow", "rowbinary", "msgpack":
		return true
	default:
		return false
	}
}

func contentType(format string) string {
	switch strings.ToLower(format) {
	case "json", "jsoncompact", "jsonstrings", "jsoncompactstrings":
		return "application/json; charset=UTF-8"
	case "jsoneachrow", "jsoncompacteachrow":
		return "application/x-ndjson; charset=UTF-8"
	case "csv":
		return "text/csv; charset=UTF-8; header=absent"
	case "csvwithnames":
		return "text/csv; charset=UTF-8; header=present"
	case "tabseparated", "tsv":
		return "text/tab-separated-values; charset=UTF-8"
	case "native", "rowbinary", "parquet", "arrow":
		return "application/octet-stream"
	default:
		return "text/plain; charset=UTF-8"
	}
}

// notStreamable is how the engine refuses, before it runs anything, to stream
// the answer of a statement that is not a SELECT.
const notStreamable = "Streaming query is not supported"

// runStatement runs a statement and sends its answer.
func (h *handler) runStatement(ctx context.Context, conn *libchdb.Conn, req *request, stmt statement, res *response) error {
	format := firstOf(stmt.format, req.defaultFormat)
	header := res.w.Header()
	header.Set("X-ClickHouse-Format", format)
	header.Set("Content-Type", contentType(format))
	if err := prepare(conn, req); err != nil {
		return err
	}
	tag := req.tag(h.sessions.count.Add(1))
	defer h.sessions.watch(ctx, tag)()
	sql := stmt.text + "\n" + tag
	var out io.Writer = res
	native := &nativeBlocks{revision: req.revision, out: res}
	if strings.EqualFold(format, "Native") {
		out = native
	}
	if isRowFormat(format) {
		streamed, err := stream(ctx, conn, sql, format, req.params, res, out)
		if err != nil {
			return err
		}
		if streamed {
			if res.stats.ResultRows == 0 && out == native {
				if err := describe(conn, stmt, req.params, native); err != nil {
					return err
				}
			}
			return res.finish()
		}
	}
	if err := h.collect(ctx, conn, sql, format, req.params, res, out); err != nil {
		return err
	}
	return res.finish()
}

// stream sends the answer chunk by chunk. It reports false, with nothing run
// and nothing sent, when the engine cannot stream this statement.
func stream(ctx context.Context, conn *libchdb.Conn, sql, format string, params []libchdb.Param, res *response, out io.Writer) (bool, error) {
	s, err := conn.Stream(sql, format, params)
	if err != nil {
		if refused, ok := errors.AsType[*libchdb.Error](err); ok && strings.Contains(refused.Message, notStreamable) {
			return false, nil
		}
		return true, err
	}
	defer s.Close()
	for {
		chunk, stats, err := s.Next()
		res.stats.Add(stats)
		if errors.Is(err, io.EOF) {
			return true, ctx.Err()
		}
		if err != nil {
			return true, err
		}
		if _, err := out.Write(chunk); err != nil {
			return true, err
		}
		if err := ctx.Err(); err != nil {
			return true, err
		}
	}
}

// collect has the engine build the whole answer and sends it then.
func (h *handler) collect(ctx context.Context, conn *libchdb.Conn, sql, format string, params []libchdb.Param, res *response, out io.Writer) error {
	answer, stats, err := conn.Query(sql, format, params)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if limit := h.cfg.MaxBufferedResult; int64(len(answer)) > limit {
		return newException(codeTooManyBytes, "TOO_MANY_ROWS_OR_BYTES",
			"the answer has %d bytes, more than the %d this server holds in format %s; use a row format such as JSONEachRow",
			len(answer), limit, format)
	}
	res.stats = stats
	if len(answer) == 0 {
		return nil
	}
	_, err = out.Write(answer)
	return err
}

// describe sends the columns of an answer without rows, which the engine
// leaves out and clients of Native expect.
func describe(conn *libchdb.Conn, stmt statement, params []libchdb.Param, native *nativeBlocks) error {
	columns, _, err := conn.Query("DESCRIBE TABLE ("+stmt.query+"\n)", "TabSeparated", params)
	if err != nil {
		if _, refused := errors.AsType[*libchdb.Error](err); refused {
			return nil // an answer without columns, then
		}
		return err
	}
	if len(bytes.TrimSpace(columns)) == 0 {
		return nil
	}
	return native.emptyBlock(columns)
}
