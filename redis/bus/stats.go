package bus

import (
	"sync/atomic"

	"github.com/atlhyper/observe/redis/metric"
)

// ServerStats count what an agent did since it started.
type ServerStats struct {
	// Claimed commands were started or refused, Answered ones have their reply in
	// Redis, Unanswered ones could not be delivered in time.
	Claimed, Answered, Unanswered int64
	// AnsweredBefore ones had a reply already when theirs came: the answer to an
	// earlier try was cut, or another agent took them back meanwhile.
	AnsweredBefore int64
	// ReplyBytes is the length of the replies in Redis.
	ReplyBytes int64
	// Running is how many run now.
	Running int64
	// Expired commands were dropped unrun: their deadline had passed.
	Expired int64
	// Undecodable ones were dropped: not even an id could be read.
	Undecodable int64
	// Refused ones could not be read, but their id could.
	Refused int64
	// Duplicates were met again while they ran or after.
	Duplicates int64
	// Recovered ones were found in the own claimed list.
	Recovered int64
	// Reclaimed ones were taken back from agents that stopped beating.
	Reclaimed int64
	// HandedBack ones were given back at shutdown.
	HandedBack int64
	// Canceled counts messages that nobody waits for a command any more.
	Canceled int64
	// Panics of handlers, and replies over MaxReplyBytes.
	Panics, TooLarge int64
}

type serverStats struct {
	claimed, answered, answeredBefore, replyBytes, unanswered, running, expired, undecodable, refused, duplicates,
	recovered, reclaimed, handedBack, canceled, panics, tooLarge atomic.Int64
}

// Stats returns the counters.
func (s *Server) Stats() ServerStats {
	c := &s.stats
	return ServerStats{
		Claimed: c.claimed.Load(), Answered: c.answered.Load(), AnsweredBefore: c.answeredBefore.Load(), ReplyBytes: c.replyBytes.Load(), Unanswered: c.unanswered.Load(),
		Running: c.running.Load(), Expired: c.expired.Load(), Undecodable: c.undecodable.Load(),
		Refused: c.refused.Load(), Duplicates: c.duplicates.Load(), Recovered: c.recovered.Load(),
		Reclaimed: c.reclaimed.Load(), HandedBack: c.handedBack.Load(), Canceled: c.canceled.Load(),
		Panics: c.panics.Load(), TooLarge: c.tooLarge.Load(),
	}
}

// register is the table of the agent's metrics.
func (s *Server) register() error {
	const commands, commandsHelp = "agent_commands_total", "Commands that left the claimed list, by how."
	const moved, movedHelp = "agent_commands_moved_total", "Commands that changed lists otherwise than by being claimed, by how."
	c := &s.stats
	return metric.Register(s.cfg.Metrics, []metric.Row{
		{Name: "agent_info", Help: "Always 1; the label says of which cluster the agent is.", Label: "cluster", Value: string(s.cfg.Cluster), Gauge: func() float64 { return 1 }},
		{Name: "agent_commands_claimed_total", Help: "Commands that were started or refused.", Counter: &c.claimed},
		{Name: "agent_commands_running", Help: "Commands that run now.", Gauge: func() float64 { return float64(c.running.Load()) }},
		{Name: "agent_slots", Help: "Commands that may run at a time.", Gauge: func() float64 { return float64(s.cfg.Slots) }},
		{Name: commands, Help: commandsHelp, Label: "outcome", Value: "answered", Counter: &c.answered},
		{Name: commands, Help: commandsHelp, Label: "outcome", Value: "answered_before", Counter: &c.answeredBefore},
		{Name: commands, Help: commandsHelp, Label: "outcome", Value: "unanswered", Counter: &c.unanswered},
		{Name: commands, Help: commandsHelp, Label: "outcome", Value: "expired", Counter: &c.expired},
		{Name: commands, Help: commandsHelp, Label: "outcome", Value: "undecodable", Counter: &c.undecodable},
		{Name: moved, Help: movedHelp, Label: "how", Value: "recovered", Counter: &c.recovered},
		{Name: moved, Help: movedHelp, Label: "how", Value: "claimed_back", Counter: &c.reclaimed},
		{Name: moved, Help: movedHelp, Label: "how", Value: "handed_back", Counter: &c.handedBack},
		{Name: "agent_commands_duplicate_total", Help: "Commands that were met again while they ran or after.", Counter: &c.duplicates},
		{Name: "agent_commands_refused_total", Help: "Commands that were refused because they cannot be read.", Counter: &c.refused},
		{Name: "agent_cancels_total", Help: "Messages that nobody waits for a command any more.", Counter: &c.canceled},
		{Name: "agent_command_panics_total", Help: "Commands whose handler panicked.", Counter: &c.panics},
		{Name: "agent_replies_too_large_total", Help: "Results over the bound of a reply.", Counter: &c.tooLarge},
		{Name: "agent_reply_bytes_total", Help: "Length of the replies in Redis.", Counter: &c.replyBytes},
	}, s.took)
}
