package load

import (
	"slices"
	"time"
)

// script is one of k6's scripts and what happens while it runs.
type script struct {
	// name of the file, without ".js".
	name string
	// title and about say what it is, in the report.
	title, about string
	// streams is true where k6's numbers are those of streams, not of requests.
	streams bool
	// events happen at their share of the duration, in this order.
	events []event
}

// event is something that happens to a master.
type event struct {
	at    float64 // share of the duration
	label string  // in the plot
	do    func(s *stack, master int) error
	// master is its number, from 0.
	master int
}

func scripts() []script {
	return []script{
		{
			name: "dashboards", title: "Dashboards",
			about: "Arrivals climb to their peak and stay there; 97 of 100 ask for dashboards, 3 open a detail.",
		},
		{
			name: "details", title: "Details",
			about: "Searches, traces, series and logs side by side; a third of them are asked by several at once, a quarter go to one cluster.",
		},
		{
			name: "mixed", title: "Mixed",
			about: "Dashboards, details, lists of all clusters and 50 open streams at once.",
		},
		{
			name: "streams", title: "Streams", streams: true,
			about: "Listeners to all dashboards of a cluster. One master is told to end half-way: its listeners go to another one.",
			events: []event{
				{at: 0.5, label: "a master ends", do: (*stack).endMaster, master: 1},
				{at: 0.75, label: "it is back", do: (*stack).startMaster, master: 1},
			},
		},
		{
			name: "failover", title: "Failover",
			about: "Dashboards and details at a steady rate. One of the masters is killed half-way.",
			events: []event{
				{at: 0.5, label: "a master is killed", do: (*stack).killMaster, master: 0},
				{at: 0.75, label: "it is back", do: (*stack).startMaster, master: 0},
			},
		},
	}
}

func (c Config) scripts() []script {
	if len(c.Only) == 0 {
		return scripts()
	}
	return slices.DeleteFunc(scripts(), func(s script) bool { return !slices.Contains(c.Only, s.name) })
}

// moment is when an event is due.
func (e event) moment(lasts time.Duration) time.Duration {
	return time.Duration(e.at * float64(lasts))
}
