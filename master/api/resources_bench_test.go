package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// BenchmarkPodList serves a page of 100 of 5,000 pods, of those that a filter finds: cold,
// when the section has changed since, and warm, in each encoding.
func BenchmarkPodList(b *testing.B) {
	pods := make([]model.KubePod, 5000)
	for i := range pods {
		app := fmt.Sprintf("service-%03d", i/17)
		pods[i] = model.KubePod{
			Metadata: model.KubeMetadata{
				Namespace: fmt.Sprintf("team-%02d", i/250), Name: fmt.Sprintf("%s-7d4b9c8f6d-%05x", app, i), CreationTimestamp: "2026-03-01T11:00:00Z",
				Labels: map[string]string{"app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "shop"},
			},
			Phase: "Running", NodeName: fmt.Sprintf("node-%03d", i%200), PodIP: "10.2.3.4", Ready: 1, Restarts: int64(i % 5),
			Owner:      &model.KubeRef{Kind: "ReplicaSet", Name: app + "-7d4b9c8f6d"},
			Containers: []model.KubeContainer{{Name: "main", Image: "registry.example.com/" + app + ":1.2.3", Ready: true}},
		}
	}
	packed, err := codec.Encode(pods)
	if err != nil {
		b.Fatal(err)
	}
	body, err := envelope.FromMsgpack(packed, envelope.Meta{})
	if err != nil {
		b.Fatal(err)
	}
	data, err := codec.ToJSON(nil, packed)
	if err != nil {
		b.Fatal(err)
	}
	compressor, err := compress.New()
	if err != nil {
		b.Fatal(err)
	}
	fresh := func() *dashboard.Answer {
		return dashboard.NewAnswer(dashboard.Content{Body: body, Data: data, ETag: "1-a", CollectedAt: clock()}, compressor)
	}
	var answer *dashboard.Answer
	backend := &backend{section: func(context.Context, key.Cluster, model.Section) (*dashboard.Answer, error) { return answer, nil }}
	a := backend.api(b)
	ask := func(encoding string) int {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet,
			"/api/v2/pods?cluster_id=east&q=service-1&label_selector=app.kubernetes.io/part-of%3Dshop&sort=-restarts", nil)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%d: %s", w.Code, w.Body)
		}
		return w.Body.Len()
	}
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			answer = fresh()
			ask("identity")
		}
		b.ReportMetric(float64(len(data)), "section-bytes")
	})
	answer = fresh()
	for _, encoding := range []string{"identity", "zstd", "gzip"} {
		b.Run("warm/"+encoding, func(b *testing.B) {
			b.ReportAllocs()
			size := ask(encoding)
			for b.Loop() {
				ask(encoding)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
