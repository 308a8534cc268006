package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// item is what an informer's cache holds of an object.
type item struct {
	namespace, name, resourceVersion string
	shown                            any // what kind.show returned; nil: not shown
}

// GetObjectMeta is how client-go learns the key; it is made anew since most of what
// it could hold would be empty in each of thousands of items.
func (i *item) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: i.namespace, Name: i.name, ResourceVersion: i.resourceVersion}
}

// informer follows one kind.
type informer struct {
	kind   kind
	shared cache.SharedIndexInformer
	health health
	pulse  *pulse // of the API server
	// revision is the newest resource version that the API server has of the kind.
	revision func(ctx context.Context) (string, error)
	// version grows with each change of what is shown.
	version atomic.Uint64
	logger  *slog.Logger
}

func newInformer(k kind, c *clients, cfg Config, changed func()) (*informer, error) {
	lw, err := c.listWatch(k)
	if err != nil {
		return nil, err
	}
	logger := cfg.Logger.With("resource", k.resource.Resource)
	inf := &informer{
		kind: k, logger: logger,
		health: health{resource: k.resource.Resource, patience: cfg.Patience, clock: cfg.Clock, logger: logger},
	}
	inf.revision = func(ctx context.Context) (string, error) { return c.revision(ctx, k.resource) }
	inf.shared = cache.NewSharedIndexInformerWithOptions(inf.observed(lw), k.object, cache.SharedIndexInformerOptions{})
	if err := inf.shared.SetTransform(inf.transform); err != nil {
		return nil, err
	}
	if err := inf.shared.SetWatchErrorHandlerWithContext(inf.failed); err != nil {
		return nil, err
	}
	_, err = inf.shared.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { inf.saw(nil, obj, changed) },
		UpdateFunc: func(before, after any) { inf.saw(before, after, changed) },
		DeleteFunc: func(obj any) { inf.saw(obj, nil, changed) },
	})
	return inf, err
}

func (inf *informer) run(ctx context.Context) { inf.shared.RunWithContext(ctx) }

// observed notes how each request of lw ends. The informer itself retries most
// failures without a word, with a delay that grows from 0.8 s to between 30 and 60 s.
func (inf *informer) observed(lw *cache.ListWatch) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.ResourceVersion = newest(options.ResourceVersion)
			list, err := lw.ListWithContext(ctx, options)
			inf.health.note(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if options.SendInitialEvents != nil {
				options.ResourceVersion = newest(options.ResourceVersion)
				return inf.stream(ctx, lw, options)
			}
			if options.ResourceVersion != "" {
				if err := inf.doubt(ctx, options.ResourceVersion); err != nil {
					return nil, err
				}
			}
			return inf.watch(ctx, lw, options)
		},
	}
}

func (inf *informer) watch(ctx context.Context, lw *cache.ListWatch, options metav1.ListOptions) (watch.Interface, error) {
	w, err := lw.WatchWithContext(ctx, options)
	inf.health.note(ctx, err)
	return w, err
}

// stream opens a watch that begins with a list. It asks again as long as client-go
// would, after the same waits, which client-go does not end with ctx here: Run would go
// on for up to a minute.
func (inf *informer) stream(ctx context.Context, lw *cache.ListWatch, options metav1.ListOptions) (w watch.Interface, err error) {
	waits := wait.Backoff{Duration: 800 * time.Millisecond, Factor: 2, Jitter: 1, Steps: math.MaxInt, Cap: 30 * time.Second}
	ended := waits.DelayFunc().Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		w, err = inf.watch(ctx, lw, options)
		return !utilnet.IsConnectionRefused(err) && !apierrors.IsTooManyRequests(err), nil
	})
	if ended != nil {
		return nil, ended
	}
	return w, err
}

// newest asks for what there is now instead of what is at least as new as the version,
// for which an API server that is behind it makes wait.
func newest(version string) string {
	if version == "0" {
		return version // at first, anything will do
	}
	return ""
}

// doubt returns an error when a watch should not go on from the version, after which
// the informer lists all anew. When etcd was put back to a backup, a watch from before
// it is silent until the API server has got to its version again, and what happens
// meanwhile is never told; nor is what the backup brought back. So after a failure
// nothing is taken for granted, and otherwise the API server is asked whether it is
// behind.
func (inf *informer) doubt(ctx context.Context, version string) error {
	if err := inf.health.last(); err != nil {
		return apierrors.NewResourceExpired(fmt.Sprintf("it may be another state since: %v", err))
	}
	now, err := inf.revision(ctx)
	if err != nil {
		inf.health.note(ctx, err)
		return err
	}
	order, err := resourceversion.CompareResourceVersion(now, version)
	if err == nil && order < 0 {
		err = apierrors.NewResourceExpired("the API server is behind what was read of it")
	}
	if err != nil {
		err = fmt.Errorf("watch %s from %s: %w", inf.kind.resource.Resource, version, err)
		inf.health.note(ctx, err)
	}
	return err
}

// failed hears of what no request shows, such as a list that cannot be read.
func (inf *informer) failed(ctx context.Context, _ *cache.Reflector, err error) {
	// A watch that was open too long or fell behind ends; the informer lists again.
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	inf.health.note(ctx, err)
}

// transform replaces an object by what is shown of it, before it gets into any cache.
// One that cannot be shown is logged and missing: the others are not its fault.
func (inf *informer) transform(obj any) (out any, err error) {
	object, ok := obj.(runtime.Object)
	if !ok {
		return obj, nil // an item: client-go may ask twice
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, fmt.Errorf("an object without metadata: %w", err)
	}
	it := &item{namespace: accessor.GetNamespace(), name: accessor.GetName(), resourceVersion: accessor.GetResourceVersion()}
	defer func() {
		if p := recover(); p != nil {
			inf.logger.Error("an object cannot be shown", "namespace", it.namespace, "name", it.name, "panic", p, "stack", string(debug.Stack()))
			out, err = it, nil
		}
	}()
	it.shown = inf.kind.show(object)
	return it, nil
}

// saw counts a change of what is shown.
func (inf *informer) saw(before, after any, changed func()) {
	if reflect.DeepEqual(shown(before), shown(after)) {
		return
	}
	inf.version.Add(1)
	changed()
}

func shown(obj any) any {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if it, ok := obj.(*item); ok {
		return it.shown
	}
	return nil
}

// items are all objects that are shown, in no order.
func (inf *informer) items() []*item {
	all := inf.shared.GetStore().List()
	out := make([]*item, 0, len(all))
	for _, obj := range all {
		if it, ok := obj.(*item); ok && it.shown != nil {
			out = append(out, it)
		}
	}
	return out
}
