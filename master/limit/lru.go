package limit

import "container/list"

// lru holds at most max values and forgets the one that was not used for longest.
// It is not safe for concurrent use.
type lru[K comparable, V any] struct {
	max   int
	byKey map[K]*list.Element
	order *list.List // of *entry[K, V], the last used first
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{max: most, byKey: make(map[K]*list.Element), order: list.New()}
}

// get returns the value of a key and counts as a use of it.
func (l *lru[K, V]) get(key K) (value V, ok bool) {
	element, ok := l.byKey[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(element)
	return valueOf[K, V](element).value, true
}

// add holds the value of a key that is not held.
func (l *lru[K, V]) add(key K, value V) {
	if l.order.Len() >= l.max {
		oldest := l.order.Back()
		delete(l.byKey, valueOf[K, V](oldest).key)
		l.order.Remove(oldest)
	}
	l.byKey[key] = l.order.PushFront(&entry[K, V]{key, value})
}

func (l *lru[K, V]) len() int { return l.order.Len() }

func valueOf[K comparable, V any](element *list.Element) *entry[K, V] {
	held, ok := element.Value.(*entry[K, V])
	if !ok {
		panic("limit: a foreign value in the list")
	}
	return held
}
