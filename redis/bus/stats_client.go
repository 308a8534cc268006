package bus

import (
	"sync/atomic"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/fault"
)

// ClientStats count what became of the requests of a master since it started.
// Pushed is the sum of Answered, Refused, TooLarge, Unreadable, TimedOut, Canceled
// and of those that wait.
type ClientStats struct {
	// Waiting requests wait now.
	Waiting int64
	// Pushed commands went into a list.
	Pushed int64
	// Answered ones came back with data, Refused ones with an agent's error; TooLarge
	// replies were over MaxReplyBytes, Unreadable ones not what this version reads.
	Answered, Refused, TooLarge, Unreadable int64
	// TimedOut ones had no reply in time; of Canceled ones the caller hung up.
	TimedOut, Canceled int64
	// Shared requests were answered by the reply to an equal one, nothing was pushed.
	Shared int64
	// Not pushed because a bound was reached: of the cluster's list, of this replica's
	// waiters, of those of one cluster.
	FullList, FullReplica, FullCluster int64
	// TooLong requests were over MaxCommandBytes.
	TooLong int64
	// Offline requests found no agent that takes commands; for Unavailable ones Redis
	// did not answer (the command may have been pushed all the same).
	Offline, Unavailable int64
	// Found replies were found by the sweep: their announcement was lost or late.
	Found int64
	// Carried replies came with their announcement.
	Carried int64
	// ReplyBytes is the length of the replies that were read, FetchBytes of those on
	// their way now.
	ReplyBytes, FetchBytes int64
}

type clientStats struct {
	pushed, answered, refused, tooLarge, unreadable, tooLong, timedOut, canceled, shared, fullList, fullReplica, fullCluster,
	offline, unavailable, found, carried, replyBytes, fetchBytes atomic.Int64
}

// ended counts the outcome of a command that was pushed.
func (c *clientStats) ended(got outcome) {
	switch {
	case got.err == nil:
		c.answered.Add(1)
	case got.reply.Code != "":
		c.refused.Add(1)
	case fault.Is(got.err, fault.ResultTooLarge):
		c.tooLarge.Add(1)
	default:
		c.unreadable.Add(1)
	}
}

// Stats returns the counters.
func (c *Client) Stats() ClientStats {
	s := c.stats
	return ClientStats{
		Waiting: int64(c.Waiting()), Pushed: s.pushed.Load(), Answered: s.answered.Load(), Refused: s.refused.Load(),
		TooLarge: s.tooLarge.Load(), Unreadable: s.unreadable.Load(), TooLong: s.tooLong.Load(), TimedOut: s.timedOut.Load(), Canceled: s.canceled.Load(), Shared: s.shared.Load(),
		FullList: s.fullList.Load(), FullReplica: s.fullReplica.Load(), FullCluster: s.fullCluster.Load(),
		Offline: s.offline.Load(), Unavailable: s.unavailable.Load(), Found: s.found.Load(), Carried: s.carried.Load(),
		ReplyBytes: s.replyBytes.Load(), FetchBytes: s.fetchBytes.Load(),
	}
}

// register is the table of the master's metrics.
func (c *Client) register() error {
	const ended, endedHelp = "master_commands_ended_total", "Commands that were pushed, by what came of them."
	const refused, refusedHelp = "master_requests_not_pushed_total", "Detail requests for which no command was pushed, by why."
	const full, fullHelp = "master_queue_full_total", "Detail requests refused because a bound was reached, by which."
	s := c.stats
	return metric.Register(c.cfg.Metrics, []metric.Row{
		{Name: "master_requests_waiting", Help: "Detail requests that wait for a reply.", Gauge: func() float64 { return float64(c.Waiting()) }},
		{Name: "master_requests_waiting_max", Help: "Detail requests that may wait for a reply.", Gauge: func() float64 { return float64(c.cfg.MaxWaiters) }},
		{Name: "master_queue_max", Help: "Commands of one cluster that may wait for an agent.", Gauge: func() float64 { return float64(c.cfg.MaxQueue) }},
		{Name: "master_commands_pushed_total", Help: "Commands that went into a cluster's list.", Counter: &s.pushed},
		{Name: ended, Help: endedHelp, Label: "outcome", Value: "answered", Counter: &s.answered},
		{Name: ended, Help: endedHelp, Label: "outcome", Value: "refused", Counter: &s.refused},
		{Name: ended, Help: endedHelp, Label: "outcome", Value: "too_large", Counter: &s.tooLarge},
		{Name: ended, Help: endedHelp, Label: "outcome", Value: "unreadable", Counter: &s.unreadable},
		{Name: ended, Help: endedHelp, Label: "outcome", Value: "expired", Counter: &s.timedOut},
		{Name: ended, Help: endedHelp, Label: "outcome", Value: "canceled", Counter: &s.canceled},
		{Name: refused, Help: refusedHelp, Label: "reason", Value: "shared", Counter: &s.shared},
		{Name: refused, Help: refusedHelp, Label: "reason", Value: "offline", Counter: &s.offline},
		{Name: refused, Help: refusedHelp, Label: "reason", Value: "store_unavailable", Counter: &s.unavailable},
		{Name: refused, Help: refusedHelp, Label: "reason", Value: "too_long", Counter: &s.tooLong},
		{Name: full, Help: fullHelp, Label: "bound", Value: "list", Counter: &s.fullList},
		{Name: full, Help: fullHelp, Label: "bound", Value: "replica", Counter: &s.fullReplica},
		{Name: full, Help: fullHelp, Label: "bound", Value: "cluster", Counter: &s.fullCluster},
		{Name: "master_replies_found_total", Help: "Replies that the sweep found: their announcement was lost or late.", Counter: &s.found},
		{Name: "master_replies_carried_total", Help: "Replies that came with their announcement.", Counter: &s.carried},
		{Name: "master_reply_bytes_total", Help: "Length of the replies that were read.", Counter: &s.replyBytes},
		{Name: "master_reply_fetch_bytes", Help: "Length of the replies on their way from Redis.", Gauge: func() float64 { return float64(s.fetchBytes.Load()) }},
	}, c.waited)
}
