package api

import (
	"sync"
	"sync/atomic"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/fault"
)

// streams counts the event streams of this replica.
type streams struct {
	open, refused   atomic.Int64
	drained, denied atomic.Int64 // how they ended
	slow, left      atomic.Int64

	mu       sync.Mutex
	byCaller map[string]int // those that are open; none is 0
}

// minCallerStreams is what a caller may have open however few a replica may: pages of a
// few people who share a token.
const minCallerStreams = 20

// callerStreams bounds the streams of one caller, so that it does not take all.
func callerStreams(most int) int { return min(most, max(minCallerStreams, most/10)) }

// enter takes a place of most, for a caller who is told apart from others by its name; ""
// for one who is not. The error is queue_full, or rate_limited for a caller who has its
// share. Who enters leaves, by the same name.
func (s *streams) enter(caller string, most int) error {
	if s.open.Add(1) > int64(most) {
		s.open.Add(-1)
		s.refused.Add(1)
		return fault.New(fault.QueueFull, "this replica has %d streams open, which is its bound", most)
	}
	if share := callerStreams(most); !s.count(caller, share) {
		s.open.Add(-1)
		s.refused.Add(1)
		return fault.New(fault.RateLimited, "you have %d streams open on this replica, which is what it allows one caller", share)
	}
	return nil
}

func (s *streams) count(caller string, share int) bool {
	if caller == "" {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byCaller[caller] >= share {
		return false
	}
	if s.byCaller == nil {
		s.byCaller = make(map[string]int)
	}
	s.byCaller[caller]++
	return true
}

func (s *streams) leave(caller string) {
	s.open.Add(-1)
	if caller == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byCaller[caller]--; s.byCaller[caller] <= 0 {
		delete(s.byCaller, caller)
	}
}

// ended counts a stream by what ended it.
func (s *streams) ended(err error) { s.byReason()[reasonOf(err)].Add(1) }

func (s *streams) byReason() map[string]*atomic.Int64 {
	return map[string]*atomic.Int64{"drained": &s.drained, "denied": &s.denied, "slow": &s.slow, "left": &s.left}
}

func (s *streams) rows() []metric.Row {
	rows := []metric.Row{
		{Name: "http_streams", Help: "Event streams that are open.", Gauge: func() float64 { return float64(s.open.Load()) }},
		{Name: "http_streams_refused_total", Help: "Event streams refused because too many were open, of all callers or of one.", Counter: &s.refused},
	}
	for reason, counter := range s.byReason() {
		rows = append(rows, metric.Row{
			Name: "http_streams_ended_total", Label: "reason", Value: reason, Counter: counter,
			Help: "Event streams that ended: the caller left or its connection broke, was too slow or lost its rights, or the replica drained.",
		})
	}
	return rows
}
