package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/loadtest/verify"
)

// A command is lost when nobody says what became of it.
func TestLostCommandsAreCounted(t *testing.T) {
	t.Parallel()
	agents := fleet.Commands{Claimed: 10, Answered: 7, AnsweredBefore: 1, Unanswered: 2, Expired: 3}
	for name, test := range map[string]struct {
		expired, gone int
		agents        fleet.Commands
		lost          int
	}{
		"all explained":     {9, 4, agents, 0},
		"waited in vain":    {10, 4, agents, 1},
		"claimed, no end":   {9, 4, fleet.Commands{Claimed: 12, Answered: 7, AnsweredBefore: 1, Unanswered: 2, Expired: 3}, 2},
		"no agent expired":  {9, 4, fleet.Commands{Claimed: 10, Answered: 7, AnsweredBefore: 1, Unanswered: 2}, 3},
		"in no lossy Redis": {9, 0, agents, 4},
	} {
		if got := (book{map[string]int{"expired": test.expired}, test.agents, test.gone}).lost(); got != test.lost {
			t.Errorf("%s: %d lost, want %d", name, got, test.lost)
		}
	}
}

func TestTableIsCoarse(t *testing.T) {
	t.Parallel()
	row := func(order, ok, failed int, worst, recovery time.Duration) Row {
		return Row{
			Order: order, Fault: "f", Interval: 10 * time.Second, Recovery: recovery,
			Dashboards: verify.Counts{Codes: map[string]int{verify.OK: ok, "timeout": failed}, Worst: worst},
			Details:    verify.Counts{Codes: map[string]int{verify.OK: ok}},
		}
	}
	first := Table([]Row{row(2, 90, 10, 2*time.Second, 4*time.Second), row(1, 1, 99, 50*time.Millisecond, 11*time.Second)})
	again := Table([]Row{row(1, 2, 98, 90*time.Millisecond, 14*time.Second), row(2, 60, 40, 3*time.Second, 5*time.Second)})
	if first != again {
		t.Errorf("two runs that saw nearly the same:\n%s\n%s", first, again)
	}
	for _, want := range []string{
		"| f | most `timeout`, few `ok` | all `ok` | ≤ 100ms | 0 | 0 | ≤ 1.5 intervals |",
		"| f | most `ok`, some `timeout` | all `ok` | ≤ 3s | 0 | 0 | ≤ 0.5 interval |",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("no line %q in\n%s", want, first)
		}
	}
	if text := Table([]Row{{Fault: "f", Interval: time.Second, Wrong: 8, SaidUnknown: 7}}); !strings.Contains(text, "| 8 | 7 |") {
		t.Errorf("said unknown reads\n%s", text)
	}
	late := row(1, 1, 0, 0, 21*time.Second)
	late.Within = 2
	if text := Table([]Row{late}); late.Late() != time.Second || !strings.Contains(text, "| **≤ 2.5 intervals, more than 2** |") {
		t.Errorf("late by %s in\n%s", late.Late(), text)
	}
	if late.Within = 3; late.Late() != 0 || strings.Contains(Table([]Row{late}), "**") {
		t.Errorf("late by %s of 3 intervals", late.Late())
	}
	if text := Document(first, 10*time.Second); strings.Contains(text, "%!") || !strings.Contains(text, "every 10s") {
		t.Errorf("the document reads %s", text)
	}
}
