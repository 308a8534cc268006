//go:build linux || darwin

package chdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/atlhyper/observe/loadtest/chdb/libchdb"
)

// handler serves the ClickHouse HTTP interface.
type handler struct {
	cfg      Config
	sessions *sessions
	log      *slog.Logger
	// zone and name are the engine's time zone and display name.
	zone, name string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "There is no handle for "+r.Method, http.StatusMethodNotAllowed)
		return
	}
	plain := r.Method != http.MethodPost && !r.URL.Query().Has("query")
	switch {
	case r.URL.Path == "/ping", r.URL.Path == "/" && plain:
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		if _, err := io.WriteString(w, "Ok.\n"); err != nil {
			h.log.Debug("ping not answered", "error", err)
		}
	case r.URL.Path == "/":
		h.serveQuery(w, r)
	default:
		http.Error(w, "There is no handle "+r.URL.Path, http.StatusNotFound)
	}
}

// serveQuery answers one statement.
func (h *handler) serveQuery(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-ClickHouse-Timezone", h.zone)
	w.Header().Set("X-ClickHouse-Server-Display-Name", h.name)
	req, err := parseRequest(r)
	if err != nil {
		writeException(w, asException(err))
		return
	}
	if req.queryID == "" {
		req.queryID = rand.Text()
	}
	w.Header().Set("X-ClickHouse-Query-Id", req.queryID)
	res, err := newResponse(w, req, h.cfg)
	if err != nil {
		writeException(w, asException(err))
		return
	}
	if err := h.run(r, req, res); err != nil {
		if r.Context().Err() == nil {
			h.log.Debug("statement failed", "query_id", req.queryID, "error", err)
		}
		res.fail(asException(err))
	}
}

// run reads the body, splits statement and rows, and has the engine run it.
func (h *handler) run(r *http.Request, req *request, res *response) error {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return newException(codeNotImplemented, "NOT_IMPLEMENTED", "external tables are not supported")
	}
	body, free, err := bodyReader(r, req, h.cfg.MaxBodySize)
	if err != nil {
		return err
	}
	defer free()
	stmt, rows, err := h.read(req, body)
	if err != nil {
		return err
	}
	if stmt.rows < 0 {
		return h.sessions.with(r.Context(), func(ctx context.Context, conn *libchdb.Conn) error {
			return h.runStatement(ctx, conn, req, stmt, res)
		})
	}
	data, err := newSpool(rows)
	if err != nil {
		return err
	}
	err = h.sessions.with(r.Context(), func(ctx context.Context, conn *libchdb.Conn) error {
		return h.runInsert(ctx, conn, req, stmt, data.reader(), res)
	})
	return errors.Join(err, data.close())
}

// read takes the statement from the query parameter and the body, and returns
// with it the rows of an INSERT that brings them.
func (h *handler) read(req *request, body io.Reader) (statement, io.Reader, error) {
	limit := h.cfg.MaxQuerySize
	head := req.query
	stmt := parseStatement(head)
	if stmt.rows >= 0 && int64(len(head)) <= limit {
		inline := strings.TrimSpace(head[stmt.rows:])
		if inline == "" {
			return stmt, body, checkStatement(stmt)
		}
		return stmt, io.MultiReader(strings.NewReader(inline+"\n"), body), checkStatement(stmt)
	}
	if head != "" {
		head += "\n"
	}
	text, err := io.ReadAll(io.LimitReader(body, max(0, limit+1-int64(len(head)))))
	if err != nil {
		return stmt, nil, err
	}
	head += string(text)
	stmt = parseStatement(head)
	if stmt.rows >= 0 {
		return stmt, io.MultiReader(strings.NewReader(head[stmt.rows:]), body), checkStatement(stmt)
	}
	if int64(len(head)) > limit {
		return stmt, nil, newException(codeQueryTooLarge, "QUERY_IS_TOO_LARGE", "the statement is larger than %d bytes", limit)
	}
	return stmt, nil, checkStatement(stmt)
}

func checkStatement(stmt statement) error {
	switch {
	case stmt.text == "":
		return newException(codeSyntaxError, "SYNTAX_ERROR", "Empty query")
	case stmt.several:
		return newException(codeSyntaxError, "SYNTAX_ERROR", "Multi-statements are not allowed")
	case stmt.format != "" && !formatName.MatchString(stmt.format):
		return newException(codeUnknownFormat, "UNKNOWN_FORMAT", "Unknown format %q", stmt.format)
	}
	return nil
}

// runInsert feeds rows to an INSERT.
func (h *handler) runInsert(ctx context.Context, conn *libchdb.Conn, req *request, stmt statement, rows io.Reader, res *response) error {
	if err := prepare(conn, req); err != nil {
		return err
	}
	tag := req.tag(h.sessions.count.Add(1))
	insert, err := conn.Insert(stmt.text+"\n"+tag+"\n", stmt.format, req.params)
	if err != nil {
		return err
	}
	defer insert.Close()
	defer h.sessions.watch(ctx, tag)()
	_, writeErr := io.CopyBuffer(struct{ io.Writer }{insert}, struct{ io.Reader }{rows}, make([]byte, 256<<10))
	var refused *libchdb.Error
	if writeErr != nil && !errors.As(writeErr, &refused) {
		return writeErr // reading the spooled rows failed; Close cancels
	}
	if res.stats, err = insert.Finish(); err != nil {
		return err
	}
	if writeErr != nil {
		return fmt.Errorf("the engine took only a part of the rows: %w", writeErr)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return res.finish()
}
