package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/atlhyper/observe/shared/model"
)

// readOnce is an informer that has read what is in the store.
type readOnce struct {
	cache.SharedIndexInformer
	store cache.Store
}

func (readOnce) HasSynced() bool         { return true }
func (r readOnce) GetStore() cache.Store { return r.store }

// TestDeniedMeanwhile: time goes on while a section is made, and with it ends the
// patience with one of its inputs. Whichever reading of the clock that falls between,
// what the section shows is what it is remembered to have been made of: when the input
// can be read again, it is in the section again.
func TestDeniedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		resource string
		section  model.Section
		shows    func(value any) bool // whether the input is in it
	}{
		{"endpointslices", model.SectionKubeServices, func(value any) bool {
			list, ok := value.([]*model.KubeService)
			return ok && len(list) == 1 && list[0].Endpoints != nil
		}},
		{"pods", model.SectionKubeSummary, func(value any) bool {
			summary, ok := value.(*model.KubeSummary)
			return ok && summary.Pods != nil && len(summary.Unknown) == 0
		}},
		{"events", model.SectionKubeSummary, func(value any) bool {
			summary, ok := value.(*model.KubeSummary)
			return ok && summary.Warnings != nil && len(summary.Unknown) == 0
		}},
	} {
		for readings := range 6 {
			var now time.Time
			cluster, err := New(Config{
				API: &rest.Config{Host: "http://kubernetes.invalid"}, Patience: time.Duration(1+readings) * time.Second,
				Clock: func() time.Time { now = now.Add(time.Second); return now },
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, inf := range cluster.informers {
				inf.shared = readOnce{store: cache.NewStore(cache.MetaNamespaceKeyFunc)}
			}
			if err := informerOf(t, cluster, "services").shared.GetStore().Add(&item{namespace: "n", name: "s", shown: &model.KubeService{}}); err != nil {
				t.Fatal(err)
			}
			look := func() bool { return c.shows(must[Section](t)(cluster.Section(c.section)).Value) }

			of := &informerOf(t, cluster, c.resource).health
			denied := apierrors.NewForbidden(corev1.Resource(c.resource), "", nil)
			of.note(t.Context(), denied)
			look() // with the input or without it
			of.note(t.Context(), nil)
			if !look() {
				t.Errorf("%s lacks %s, which can be read again, when patience ends after %d readings of the clock", c.section, c.resource, readings)
			}
			of.note(t.Context(), denied)
			now = now.Add(time.Hour)
			if look() {
				t.Errorf("%s has %s, which may not be read", c.section, c.resource)
			}
		}
	}
}
