package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// reconnectAfter is what callers are asked to wait before they come back.
	reconnectAfter = 2 * time.Second
	// maxPiece is how much must be taken within StreamWait, in bytes.
	maxPiece = 64 << 10
)

// metaEvent tells that a section's data stands and its meta is another one.
type metaEvent struct {
	Section model.Section `json:"section"`
	Meta    envelope.Meta `json:"meta"`
}

// errorEvent tells why a section cannot be shown.
type errorEvent struct {
	Section model.Section `json:"section"`
	failure
}

// eventWriter writes server-sent events, each flushed at once: WHATWG HTML, 9.2. An
// error wraps os.ErrDeadlineExceeded when the caller does not take what is sent.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	wait    time.Duration // for the caller to take a piece
}

func (e *eventWriter) retry(d time.Duration) error {
	return e.send([]byte("retry: " + strconv.FormatInt(d.Milliseconds(), 10) + "\n\n"))
}

// comment keeps the connection open, and finds out when nobody is there.
func (e *eventWriter) comment() error { return e.send([]byte(":\n\n")) }

// event writes an event; id "" leaves the caller's Last-Event-ID as it is. The data
// is shared with other streams and not copied.
func (e *eventWriter) event(id, name string, data []byte) error {
	head := "event: " + name + "\n"
	if id != "" {
		head = "id: " + id + "\n" + head
	}
	parts := [][]byte{[]byte(head)}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		parts = append(parts, []byte("data: "), line, []byte("\n"))
	}
	return e.send(append(parts, []byte("\n"))...)
}

func (e *eventWriter) json(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	return e.event("", name, data)
}

// send writes and flushes. Each piece has its own deadline, which stands in for that
// of the server: that is for answers that end.
func (e *eventWriter) send(parts ...[]byte) error {
	for _, part := range parts {
		for piece := range slices.Chunk(part, maxPiece) {
			if err := e.control.SetWriteDeadline(time.Now().Add(e.wait)); err != nil {
				return fmt.Errorf("write deadline: %w", err)
			}
			if _, err := e.w.Write(piece); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// eventID is the seqs of the data that the caller has, in the order of the sections:
// "5.0.7".
func eventID(all []shown) string {
	var id []byte
	for i := range all {
		if i > 0 {
			id = append(id, '.')
		}
		id = strconv.AppendInt(id, all[i].seq, 10)
	}
	return string(id)
}

// resume is what a caller knows who comes back with an id; with one that is none, or
// of other sections, nothing.
func resume(sections []model.Section, id string) []shown {
	all := make([]shown, len(sections))
	seqs := parseEventID(id, len(sections))
	for i, section := range sections {
		all[i].section = section
		if seqs != nil {
			all[i].seq, all[i].atLeast = seqs[i], seqs[i]
		}
	}
	return all
}

// parseEventID reads an id of n sections; nil when it is none.
func parseEventID(id string, n int) []int64 {
	parts := strings.SplitN(id, ".", n+1)
	if len(parts) != n {
		return nil
	}
	seqs := make([]int64, n)
	for i, part := range parts {
		seq, err := strconv.ParseInt(part, 10, 64)
		if err != nil || seq < 0 || strconv.FormatInt(seq, 10) != part {
			return nil
		}
		seqs[i] = seq
	}
	return seqs
}
