package bus

import "sync/atomic"

// ServerStats count what an agent did since it started.
type ServerStats struct {
	// Claimed commands were started or refused, Answered ones have their reply in
	// Redis, Unanswered ones could not be delivered in time.
	Claimed, Answered, Unanswered int64
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
	claimed, answered, unanswered, running, expired, undecodable, refused, duplicates,
	recovered, reclaimed, handedBack, canceled, panics, tooLarge atomic.Int64
}

// Stats returns the counters.
func (s *Server) Stats() ServerStats {
	c := &s.stats
	return ServerStats{
		Claimed: c.claimed.Load(), Answered: c.answered.Load(), Unanswered: c.unanswered.Load(),
		Running: c.running.Load(), Expired: c.expired.Load(), Undecodable: c.undecodable.Load(),
		Refused: c.refused.Load(), Duplicates: c.duplicates.Load(), Recovered: c.recovered.Load(),
		Reclaimed: c.reclaimed.Load(), HandedBack: c.handedBack.Load(), Canceled: c.canceled.Load(),
		Panics: c.panics.Load(), TooLarge: c.tooLarge.Load(),
	}
}
