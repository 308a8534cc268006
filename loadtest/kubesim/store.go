package kubesim

import (
	"cmp"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// store holds objects and the log of their changes. As in etcd, one counter gives each
// change its version, and a watch is a place in the log: it holds nothing of its own
// that could run over. Objects in it are shared and never changed. (client-go's
// ObjectTracker would not do: a watch that begins there misses deletions since its list,
// and panics when its client is slow.)
type store struct {
	history int // changes that are kept at least

	mu      sync.Mutex
	version uint64 // of the last change
	objects map[*resource]map[types.NamespacedName]runtime.Object
	log     []change // the changes up to version, without a gap
	changed chan struct{}
}

// change is one entry of the log; its version follows from its place.
type change struct {
	of        *resource
	namespace string
	event     watch.Event
}

// first is the version before the first change: clients take 0 for "any".
const first = 1

func newStore(history int) *store {
	return &store{
		history: history, version: first, changed: make(chan struct{}),
		objects: make(map[*resource]map[types.NamespacedName]runtime.Object),
	}
}

// write is what a caller makes of the object that is there, nil if there is none: the
// one to put in its place, or nil to delete it. With an error, nothing changes.
type write func(before runtime.Object) (after runtime.Object, err error)

// change puts what f makes of the object into its place, and returns it as stored.
func (s *store) change(of *resource, name types.NamespacedName, f write) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.objects[of][name]
	object, err := f(before)
	if err != nil || object == nil && before == nil {
		return nil, err
	}
	kind := watch.Modified
	switch {
	case object == nil:
		kind, object = watch.Deleted, before.DeepCopyObject()
	case before == nil:
		kind = watch.Added
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	s.version++
	accessor.SetResourceVersion(text(s.version)) // of a deletion: its own, as of any change
	if s.objects[of] == nil {
		s.objects[of] = make(map[types.NamespacedName]runtime.Object)
	}
	if kind == watch.Deleted {
		delete(s.objects[of], name)
	} else {
		s.objects[of][name] = object
	}
	s.log = append(s.log, change{of: of, namespace: name.Namespace, event: watch.Event{Type: kind, Object: object}})
	if len(s.log) >= 2*s.history {
		s.forget(s.history)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return object, nil
}

// forget drops all but the newest changes; mu is held.
func (s *store) forget(keep int) { s.log = slices.Clone(s.log[max(0, len(s.log)-keep):]) }

// compact drops the whole log, as etcd does with what is older than five minutes.
func (s *store) compact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(0)
}

// list returns the objects of a namespace ("" for all) by namespace and name, and the
// version that they are of.
func (s *store) list(of *resource, namespace string) ([]runtime.Object, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]types.NamespacedName, 0, len(s.objects[of]))
	for name := range s.objects[of] {
		if namespace == "" || name.Namespace == namespace {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, byName)
	out := make([]runtime.Object, len(names))
	for i, name := range names {
		out[i] = s.objects[of][name]
	}
	return out, s.version
}

func byName(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// get returns nil when there is none.
func (s *store) get(of *resource, name types.NamespacedName) runtime.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[of][name]
}

// since returns the changes after a version, the version after which to ask next, and
// what is closed at the next change. The error is a *expired when the log does not
// reach back that far. A version that is still to come has no changes yet.
func (s *store) since(version uint64, of *resource, namespace string) (events []watch.Event, next uint64, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.version - uint64(len(s.log))
	if version < oldest {
		return nil, 0, nil, expired(version, oldest)
	}
	if version >= s.version {
		return nil, version, s.changed, nil
	}
	for _, c := range s.log[version-oldest:] {
		if c.of == of && (namespace == "" || c.namespace == namespace) {
			events = append(events, c.event)
		}
	}
	return events, s.version, s.changed, nil
}

// now is the version of the last change.
func (s *store) now() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// text is how versions go over the wire.
func text(version uint64) string { return strconv.FormatUint(version, 10) }

func nameOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}
