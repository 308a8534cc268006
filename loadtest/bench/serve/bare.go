package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// nodesPath is the endpoint that the bench asks for.
const nodesPath = api.Prefix + "/observe/metrics/nodes"

func nodesURI(cluster string) string { return sectionURI(model.SectionMetricsNodes, cluster) }

// sectionURI is where a section is shown.
func sectionURI(name model.Section, cluster string) string {
	path := strings.ReplaceAll(string(name), ".", "/")
	if name == model.SectionOverview {
		path = "overview"
	}
	return api.Prefix + "/observe/" + path + "?cluster_id=" + cluster
}

// variant is what an answer depends on.
type variant struct{ uri, encoding string }

// copied is an answer of a master, with its header.
type copied struct {
	header http.Header
	body   []byte
	tag    string
	// unchanged is the header of the answer to a caller who has the body already.
	unchanged http.Header
}

// bare writes what a master wrote once: the least that a server on net/http can do.
type bare map[variant]copied

func (b bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := b[variant{r.RequestURI, r.Header.Get("Accept-Encoding")}]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("If-None-Match") == a.tag {
		maps.Copy(w.Header(), a.unchanged)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	maps.Copy(w.Header(), a.header)
	if _, err := w.Write(a.body); err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
}

// bare copies the answers of the master and serves them.
func (j job) bare(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	answers := make(bare)
	for _, cluster := range j.Clusters {
		for _, encoding := range []string{"", "gzip"} {
			v := variant{nodesURI(cluster), encoding}
			a, err := copyOf(ctx, client, j.Origin, v)
			if err != nil {
				return err
			}
			answers[v] = a
		}
	}
	client.CloseIdleConnections()
	return j.serve(ctx, answers)
}

// copyTries is how often an answer may change between two requests.
const copyTries = 10

func copyOf(ctx context.Context, client *http.Client, origin string, v variant) (copied, error) {
	for range copyTries {
		status, header, body, err := get(ctx, client, origin, v, "")
		if err != nil {
			return copied{}, err
		}
		tag := header.Get("ETag")
		again, unchanged, _, err := get(ctx, client, origin, v, tag)
		if err != nil {
			return copied{}, err
		}
		if status == http.StatusOK && again == http.StatusNotModified {
			header.Del("Date") // net/http writes it
			unchanged.Del("Date")
			return copied{header, body, tag, unchanged}, nil
		}
	}
	return copied{}, fmt.Errorf("%s: no answer that stays the same", v.uri)
}

func get(ctx context.Context, client *http.Client, origin string, v variant, tag string) (status int, header http.Header, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+v.uri, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	if v.encoding != "" {
		req.Header.Set("Accept-Encoding", v.encoding)
	}
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, firstError(err, resp.Body.Close())
}

// structs serves the section by reading it from Redis, decoding it and encoding it
// for each request, as a handler is written that knows nothing of streams or caches.
func (j job) structs(ctx context.Context) error {
	clients, err := conn.Open(conn.Config{URL: j.Redis}) //nolint:contextcheck // it keeps the clock in step until Close
	if err != nil {
		return err
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cluster := key.Cluster(r.URL.Query().Get("cluster_id"))
		packed, err := clients.Normal.HGet(r.Context(), cluster.Snapshot(), string(model.SectionMetricsNodes)).Bytes()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		var answer struct {
			Message string              `json:"message"`
			Data    []model.NodeMetrics `json:"data"`
		}
		answer.Message = "ok"
		if err := codec.Decode(packed, &answer.Data); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			panic(http.ErrAbortHandler) // the client has gone
		}
	})
	return firstError(j.serve(ctx, h), clients.Close())
}
