package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/atlhyper/observe/shared/detail"
)

// logsBody is the JSON body of a log query.
type logsBody struct {
	clusterID, timeout           string
	query, service, level, scope string
	traceID, spanID, cursor      string
	since, start, end            string
	limit, offset                int64
}

func (b *logsBody) fields() map[string]any {
	return map[string]any{
		"cluster_id": &b.clusterID,
		"timeout":    &b.timeout,
		"query":      &b.query,
		"service":    &b.service,
		"level":      &b.level,
		"scope":      &b.scope,
		"trace_id":   &b.traceID,
		"span_id":    &b.spanID,
		"limit":      &b.limit,
		"offset":     &b.offset,
		"cursor":     &b.cursor,
		"since":      &b.since,
		"start_time": &b.start,
		"end_time":   &b.end,
	}
}

// parseLogs reads the body of a log query. The timeout may stand in the body or,
// as everywhere else, in the query string.
func parseLogs(p *params) detail.Request {
	body := logsBody{limit: 50}
	if err := readBody(p.request, body.fields()); err != nil {
		p.check(err)
		return detail.Logs{}
	}
	p.setCluster(body.clusterID)
	if body.timeout != "" && p.query.Has("timeout") {
		p.fail("timeout", "is given both in the body and in the query string")
	}
	p.setTimeout(body.timeout)
	return detail.Logs{
		Range:   p.resolve(rangeText{"since", body.since, body.start, body.end}).Range,
		Query:   body.query,
		Service: body.service,
		Level:   strings.ToUpper(body.level),
		Scope:   body.scope,
		TraceID: strings.ToLower(body.traceID),
		SpanID:  strings.ToLower(body.spanID),
		Limit:   body.limit,
		Offset:  body.offset,
		Cursor:  body.cursor,
	}
}

// checkContentType takes JSON, nothing, and what curl -d says when it is not told
// what it sends; the body has to be JSON in any case.
func checkContentType(header string) error {
	if header == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(header)
	if err == nil && (kind == "application/json" || kind == "application/x-www-form-urlencoded") {
		return nil
	}
	return fmt.Errorf("Content-Type: %.40q is not application/json", header)
}

// readBody reads a JSON object into fields; MaxBytesReader bounds it.
func readBody(r *http.Request, fields map[string]any) error {
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	data, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fmt.Errorf("body: is larger than %d bytes", tooLarge.Limit)
	case err != nil:
		return errors.New("body: ended early")
	}
	return decodeObject(data, fields)
}

// decodeObject decodes one JSON object into *string and *int64 fields. Unlike
// encoding/json on a struct it refuses a key in another case and one given
// twice, and its errors speak of the key. null counts as absent.
func decodeObject(data []byte, fields map[string]any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return errors.New("body: must be a JSON object")
	}
	seen := make(map[string]bool, len(fields))
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return malformed(dec)
		}
		target, known := fields[name]
		switch {
		case !known:
			return fmt.Errorf("body: %.40q is no field of this request", name)
		case seen[name]:
			return fmt.Errorf("%s: is given twice", name)
		}
		seen[name] = true
		if err := decodeField(dec, name, target); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return malformed(dec)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body: something follows the JSON object")
	}
	return nil
}

func decodeField(dec *json.Decoder, name string, target any) error {
	err := dec.Decode(target)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wrongType):
		return malformed(dec)
	}
	if _, text := target.(*string); text {
		return fmt.Errorf("%s: must be a string", name)
	}
	return fmt.Errorf("%s: must be a whole number", name)
}

func malformed(dec *json.Decoder) error {
	return fmt.Errorf("body: is no valid JSON after byte %d", dec.InputOffset())
}
