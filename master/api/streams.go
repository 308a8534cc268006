package api

import (
	"sync/atomic"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/fault"
)

// streams counts the event streams of this replica.
type streams struct {
	open, refused   atomic.Int64
	drained, denied atomic.Int64 // how they ended
	slow, left      atomic.Int64
}

// enter takes a place; the error is queue_full.
func (s *streams) enter(most int) error {
	if s.open.Add(1) <= int64(most) {
		return nil
	}
	s.open.Add(-1)
	s.refused.Add(1)
	return fault.New(fault.QueueFull, "this replica has %d streams open, which is its bound", most)
}

func (s *streams) leave() { s.open.Add(-1) }

// ended counts a stream by what ended it.
func (s *streams) ended(err error) { s.byReason()[reasonOf(err)].Add(1) }

func (s *streams) byReason() map[string]*atomic.Int64 {
	return map[string]*atomic.Int64{"drained": &s.drained, "denied": &s.denied, "slow": &s.slow, "left": &s.left}
}

func (s *streams) rows() []metric.Row {
	rows := []metric.Row{
		{Name: "http_streams", Help: "Event streams that are open.", Gauge: func() float64 { return float64(s.open.Load()) }},
		{Name: "http_streams_refused_total", Help: "Event streams refused because too many were open.", Counter: &s.refused},
	}
	for reason, counter := range s.byReason() {
		rows = append(rows, metric.Row{
			Name: "http_streams_ended_total", Label: "reason", Value: reason, Counter: counter,
			Help: "Event streams that ended: the caller left or its connection broke, was too slow or lost its rights, or the replica drained.",
		})
	}
	return rows
}
