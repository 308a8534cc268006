package upgrade

import (
	"flag"
	"testing"
	"time"
)

var (
	from = flag.String("from", "", "try agents and masters of this commit or tag with those of -to; see make test-upgrade")
	to   = flag.String("to", "", "commit or tag of the other ones; by default what is in the tree")
)

// Masters first, then agents; back in the same order, so that each release of the one is
// seen with each of the other, and all along two of each share the work while one of
// them is replaced.
func TestUpgrade(t *testing.T) {
	if *from == "" {
		t.Skip("make test-upgrade builds an earlier release and tries it with this one")
	}
	before, now := built(t, "old", *from), built(t, "new", *to)
	s := newStack(t)
	for range 2 {
		s.masters = append(s.masters, s.newMaster(before))
		s.agents = append(s.agents, s.newAgent(before))
	}
	s.publishes(before)
	asked := questions(time.Now().Add(-15*time.Minute), time.Now().Add(-2*time.Minute))
	s.learn(asked)
	for _, phase := range []struct {
		name string
		do   func()
	}{
		{"both old", func() {}},
		{"masters are replaced", func() { s.replaceMasters(now) }},
		{"new masters, old agents", func() { s.publishes(before) }},
		{"agents are replaced", func() { s.replaceAgents(now) }},
		{"both new", func() { s.publishes(now) }},
		{"masters are put back", func() { s.replaceMasters(before) }},
		{"old masters, new agents", func() { s.publishes(now) }},
		{"agents are put back", func() { s.replaceAgents(before) }},
		{"both old again", func() { s.publishes(before) }},
	} {
		stop := s.load(asked)
		phase.do()
		s.round(asked)
		got := stop()
		t.Logf("%-24s  asked %5d  stale %3d  failed %d  wrong %d", phase.name, got.asked.Load(), got.stale.Load(), len(got.failed), len(got.wrong))
		for what, all := range map[string][]string{"failed": got.failed, "wrong": got.wrong} {
			for _, text := range all[:min(len(all), 5)] {
				t.Errorf("%s: %s: %s", phase.name, what, text)
			}
		}
	}
}

// round asks each master each question once more, so that no phase is without any.
func (s *stack) round(questions []*question) {
	s.t.Helper()
	got := new(tally)
	for n := range s.masters {
		for _, q := range questions {
			s.judge(got, n, q)
		}
	}
	for _, text := range append(got.failed, got.wrong...) {
		s.t.Errorf("in the end: %s", text)
	}
}
