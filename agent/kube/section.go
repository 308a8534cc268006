package kube

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// Section is the value of a section at one moment.
type Section struct {
	// Value is what shared/model says of the section, of a list a slice of pointers.
	// It is shared: nobody changes it. nil when there is none yet.
	Value any
	// Version grows when Value changes: of one Cluster, equal versions are equal values.
	// 0 when there is no value yet.
	Version uint64
}

// section builds the value of one section from what informers hold.
type section struct {
	// inputs are the informers it is made of. Those after the first needed may be
	// denied: build, which gets what was read of each, then does without.
	inputs []*informer
	needed int
	build  func(now time.Time, read []reading) (value any, until time.Time)

	mu     sync.Mutex
	seen   []reading // of inputs, which latest was built from
	until  time.Time
	latest Section
}

// reading is what there is of an informer at one moment.
type reading struct {
	version uint64
	denied  bool
}

// sections makes the sections from the informers, by resource.
func sections(of map[string]*informer) map[model.Section]*section {
	out := make(map[model.Section]*section)
	for _, inf := range of {
		if inf.kind.section == "" {
			continue
		}
		out[inf.kind.section] = &section{
			inputs: []*informer{inf}, needed: 1,
			build: func(now time.Time, _ []reading) (any, time.Time) { return inf.kind.value(inf.items(), now) },
		}
	}
	out[model.SectionKubeServices] = services(of["services"], of["endpointslices"])
	out[model.SectionKubeSummary] = summary(of)
	return out
}

// Sections names all sections.
func (c *Cluster) Sections() []model.Section {
	out := make([]model.Section, 0, len(c.sections))
	for name := range c.sections {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Section returns the section as it is now. Building it costs only after a change.
// Errors are *fault.Error: not_ready before the first list, forbidden, not_found when
// the API server lacks the kind, unauthorized and agent_error. With an error, the
// Section holds what was known before, if anything was.
func (c *Cluster) Section(name model.Section) (Section, error) {
	s, ok := c.sections[name]
	if !ok {
		return Section{}, fault.New(fault.Internal, "there is no section %s", name)
	}
	return s.get(c.cfg.Clock())
}

func (s *section) get(now time.Time) (Section, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Before the build, and only then: what comes meanwhile is seen the next time.
	seen := make([]reading, len(s.inputs))
	for i, inf := range s.inputs {
		err := inf.check()
		if err != nil && (i < s.needed || !inf.denied(err)) {
			return s.latest, err
		}
		seen[i] = reading{version: inf.version.Load(), denied: err != nil}
	}
	if s.latest.Version > 0 && slices.Equal(seen, s.seen) && (s.until.IsZero() || now.Before(s.until)) {
		return s.latest, nil
	}
	value, until := s.build(now, seen)
	s.seen, s.until = seen, until
	if s.latest.Version == 0 || !reflect.DeepEqual(value, s.latest.Value) {
		s.latest = Section{Value: value, Version: s.latest.Version + 1}
	}
	return s.latest, nil
}

// check returns why the informer cannot be followed.
func (inf *informer) check() error {
	err := inf.health.check(inf.shared.HasSynced())
	if err == nil || fault.From(err).Code == fault.NotReady {
		// What was not read yet never will be while nobody answers.
		return cmp.Or(inf.pulse.check(), err)
	}
	return err
}

// denied tells whether err, which check returned, will stay: the agent may not read the
// kind, there is none, or what there is was never readable. Others pass: what is made of
// several kinds is not made anew without one that was there and will be again.
func (inf *informer) denied(err error) bool {
	switch fault.From(err).Code {
	case fault.NotReady:
		return false
	case fault.Forbidden, fault.NotFound:
		return true
	}
	return !inf.shared.HasSynced() && inf.pulse.beats()
}
