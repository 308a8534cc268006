// Package envelope spells the body of every successful answer:
//
//	{"message":"ok","data":…,"meta":{…}}
package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

const (
	head = `{"message":"ok","data":`
	mid  = `,"meta":`
	tail = "}\n"
)

// Meta is what an answer says beside its data.
type Meta struct {
	ClusterID string `json:"clusterId,omitempty"` // absent where the answer is about all clusters
	// CollectedAt is when the data was read from the cluster, on Redis's clock.
	CollectedAt   model.Time `json:"collectedAt"`
	WindowSeconds int64      `json:"windowSeconds"` // of telemetry that the data speaks of; 0 for none
	Seq           int64      `json:"seq,omitempty"` // dashboards: the publish that last changed the data
	// Stale is true when the last collection failed or is over 3 intervals old.
	Stale bool   `json:"stale"`
	Error string `json:"error,omitempty"` // why, when stale
	// ClusterStatus is online, stale or offline, as the list of clusters says it, or
	// unknown while Redis cannot be asked; "" where the answer is not of the snapshot.
	// Data of a cluster that is offline may be fresh still: its agent left a moment ago.
	ClusterStatus string `json:"clusterStatus,omitempty"`
	*Detail
}

// Detail is what the answer of an agent says besides.
type Detail struct {
	TookMs     float64 `json:"tookMs"` // run time on the agent
	Agent      string  `json:"agent"`
	NextCursor string  `json:"nextCursor,omitempty"` // where the list goes on
	Truncated  bool    `json:"truncated,omitempty"`  // the data was cut at its bound
	// Shared is true when it was read for an earlier request that was equal:
	// collectedAt, tookMs and agent are of that one.
	Shared bool `json:"shared,omitempty"`
}

// ListMeta is the meta of a page of a list.
type ListMeta struct {
	Meta
	Total      int    `json:"total"`                // that match, on all pages
	NextCursor string `json:"nextCursor,omitempty"` // where the list goes on
}

// FromMsgpack returns the body around one msgpack value, which is transcoded
// without knowing its type. The error is about data that is no valid value.
func FromMsgpack(data []byte, meta Meta) ([]byte, error) {
	tail, err := closing(meta)
	if err != nil {
		return nil, err
	}
	// JSON of our data is a little larger than its msgpack: quotes, commas, digits.
	body := make([]byte, 0, len(head)+len(data)+len(data)/2+len(tail))
	body, err = codec.ToJSON(append(body, head...), data)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return append(body, tail...), nil
}

// FromJSON returns the body around data that is JSON already, and the part of it
// that is the data, for the next body around the same.
func FromJSON(data []byte, meta Meta) (body, inside []byte, err error) {
	tail, err := closing(meta)
	if err != nil {
		return nil, nil, err
	}
	body = make([]byte, 0, len(head)+len(data)+len(tail))
	body = append(append(body, head...), data...)
	inside = body[len(head):len(body):len(body)]
	return append(body, tail...), inside, nil
}

// FromList returns the body around a list whose elements are JSON already.
func FromList(elements [][]byte, meta ListMeta) ([]byte, error) {
	tail, err := closing(meta)
	if err != nil {
		return nil, err
	}
	size := len(head) + len("[]") + len(tail) + len(elements)
	for _, element := range elements {
		size += len(element)
	}
	body := append(make([]byte, 0, size), head+"["...)
	for i, element := range elements {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, element...)
	}
	return append(append(body, ']'), tail...), nil
}

// FromValue returns the body around a value that encoding/json can encode.
func FromValue(data any, meta Meta) ([]byte, error) {
	body, err := marshal(data)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	tail, err := closing(meta)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte(head), body, tail}, nil), nil
}

func closing(meta any) ([]byte, error) {
	text, err := marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("meta: %w", err)
	}
	return bytes.Join([][]byte{[]byte(mid), text, []byte(tail)}, nil), nil
}

// marshal is json.Marshal without the escapes that protect HTML pages: the same
// data gives the same text whether it comes from Redis or from a value.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// MaxText is the length to which Clip cuts, in bytes.
const MaxText = 1024

// Clip bounds a text that an agent sent for people to read.
func Clip(s string) string {
	if len(s) <= MaxText {
		return s
	}
	cut := MaxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
