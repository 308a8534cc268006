package dashboard

import "fmt"

// Derived is something that is made of an answer's data and held with it, such as an
// index. It does not refer to the data: that moves.
type Derived interface {
	// Bytes is what it occupies.
	Bytes() int64
}

// derived is a Derived, or why there is none.
type derived struct {
	value Derived
	err   error
}

// Derive returns what build makes of an answer's data, or its error. It is made on first
// demand, once for all who ask for it at the same time, and again only when the data is
// another. All that is derived from a section is of one type.
func Derive[D Derived](a *Answer, build func(data []byte) (D, error)) (D, error) {
	held := a.derived.Load()
	if held == nil {
		held = a.derive(func(data []byte) (Derived, error) { return build(data) })
	}
	value, ok := held.value.(D)
	if !ok && held.err == nil {
		return value, fmt.Errorf("dashboard: %T was derived from the section, not %T", held.value, value)
	}
	return value, held.err
}

func (a *Answer) derive(build func(data []byte) (Derived, error)) *derived {
	a.making.Lock()
	defer a.making.Unlock()
	if held := a.derived.Load(); held != nil {
		return held
	}
	held := &derived{}
	held.value, held.err = build(a.content.Data)
	a.hold(held)
	return held
}

// inherit takes over what was derived from an earlier answer's data, if this one's is the
// same. Nobody else has the answer yet.
func (a *Answer) inherit(old *Answer) {
	if old == nil || a.content.Hash == "" || a.content.Hash != old.content.Hash {
		return
	}
	if held := old.derived.Load(); held != nil {
		a.hold(held)
	}
}

func (a *Answer) hold(d *derived) {
	a.derived.Store(d)
	if d.err == nil {
		a.bytes.Add(d.value.Bytes())
	}
}
