package clickhouse

import "time"

// Windows are the lengths of telemetry that the sections speak of.
type Windows struct{ Rate, Trace, SLO time.Duration }

// Windows returns those of the configuration.
func (s *Store) Windows() Windows {
	return Windows{Rate: s.cfg.RateWindow, Trace: s.cfg.TraceWindow, SLO: s.cfg.SLOWindow}
}

// Now is the end of a window that begins to be read at this moment.
func (s *Store) Now() time.Time { return s.cfg.Clock() }
