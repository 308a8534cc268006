package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

const (
	// handBackTime bounds how long a shutdown tries to hand commands back.
	handBackTime = 4 * time.Second
	// reclaimBatch is how many commands of a dead agent are taken back at a time.
	reclaimBatch = 1000
	// recoverEvery is in how many looks one is at the own claimed list: what a cut
	// leaves there is looked up after the cut, too, and its commands may be long.
	recoverEvery = 5
	// maxSeen bounds the agents that are remembered.
	maxSeen = 1024
)

// tidy goes on with what lies in the own claimed list (left by an earlier life
// under the same name, or by an answer that was lost) now and at every recoverEvery-th
// look, and takes back what agents that stopped beating left, now and every TidyInterval.
func (s *Server) tidy(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.TidyInterval)
	defer ticker.Stop()
	seen := make(sightings)
	for look := 0; ; look++ {
		s.ledger.forget(time.Now())
		var err error
		if look%recoverEvery == 0 {
			err = s.recover(ctx)
		}
		s.tidying.Note(ctx, errors.Join(err, s.reclaim(ctx, seen)))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// recover starts what is in the own claimed list and not known, each when there is
// a slot for it. What was answered already and stayed there is dropped.
func (s *Server) recover(ctx context.Context) error {
	s.recovery.Lock()
	defer s.recovery.Unlock()
	claimed, err := s.claimed(ctx)
	if err != nil {
		return err
	}
	for _, raw := range claimed {
		// Known and running ones need no slot; an unreadable one has no id.
		if id, ok := commandID(raw); ok && s.ledger.state(id) == entryRunning {
			continue
		}
		if !s.acquire(ctx) {
			return nil
		}
		s.stats.recovered.Add(1)
		s.start(ctx, raw)
	}
	return nil
}

func (s *Server) claimed(ctx context.Context) ([]string, error) {
	list, err := s.clients.Normal.LRange(ctx, s.claimedBy, 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read the claimed list: %w", conn.Unavailable(err))
	}
	return list, nil
}

// reclaimLua moves what a dead agent claimed back to the head of the commands, in
// the order in which it was pushed. Whether it is dead is looked up again here, so
// that of several agents only one moves it and never that of a live one. One that has
// no beat is dead if the caller has seen it: it left while Redis still handed it a
// command, or its beat was pruned.
//
//	KEYS[1] agents  KEYS[2] claimed:<instance>  KEYS[3] commands
//	ARGV    instance, expiry of beats in ms, most to move, TTL of the commands in ms,
//	        1 when one without a beat is dead
//	result  {how many were moved}
const reclaimLua = `
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value and ARGV[5] ~= '1' then return {0} end
if value and beat_live(value, now_ms(), tonumber(ARGV[2])) then return {0} end
local moved = 0
while moved < tonumber(ARGV[3]) do
  local raw = redis.pcall('LMOVE', KEYS[2], KEYS[3], 'RIGHT', 'LEFT')
  if type(raw) == 'table' and not string.find(raw.err, 'WRONGTYPE', 1, true) then return raw end
  if type(raw) ~= 'string' then break end
  moved = moved + 1
end
if moved > 0 then redis.call('PEXPIRE', KEYS[3], math.max(redis.call('PTTL', KEYS[3]), tonumber(ARGV[4]))) end
return {moved}
`

// sightings are the agents whose beats were there, on this process's clock.
type sightings map[string]sighting

type sighting struct {
	last   time.Time // look at which it had a beat
	missed time.Time // first look since at which it had none; zero when it has
}

// note remembers who has a beat and returns who has none any more: not at once, since
// for a moment nobody has one when Redis was emptied, and not for longer than what it
// claimed lies there.
func (seen sightings) note(beats map[string]string, now time.Time) (gone []string) {
	for instance := range beats {
		if _, known := seen[instance]; known || len(seen) < maxSeen {
			seen[instance] = sighting{last: now}
		}
	}
	for instance, s := range seen {
		switch {
		case s.last.Equal(now):
		case now.Sub(s.last) > key.ClaimedTTL:
			delete(seen, instance)
		case s.missed.IsZero():
			seen[instance] = sighting{last: s.last, missed: now}
		case now.Sub(s.missed) > key.BeatExpiry:
			gone = append(gone, instance)
		}
	}
	return gone
}

// reclaim takes back what agents claimed whose beat has run out, or who have none.
func (s *Server) reclaim(ctx context.Context, seen sightings) error {
	entries, err := s.clients.Normal.HGetAll(ctx, s.cfg.Cluster.Agents()).Result()
	if err != nil {
		return fmt.Errorf("read the agents: %w", conn.Unavailable(err))
	}
	now := s.clients.Clock(s.cfg.Cluster).Now()
	for instance, value := range entries {
		if _, at, err := beat.Decode(value); err == nil && now.Sub(at).Abs() <= key.BeatExpiry {
			continue
		}
		if err := s.reclaimFrom(ctx, instance, false); err != nil {
			return err
		}
	}
	for _, instance := range seen.note(entries, time.Now()) {
		if err := s.reclaimFrom(ctx, instance, true); err != nil {
			return err
		}
	}
	return nil
}

// isOther tells whether a field of the agents hash names another agent.
func (s *Server) isOther(instance string) bool {
	return instance != s.cfg.Instance && key.ValidateInstance(instance) == nil
}

// reclaimFrom takes back what one agent claimed, if it is dead; gone says that its
// beat was there and is no more.
func (s *Server) reclaimFrom(ctx context.Context, instance string, gone bool) error {
	if !s.isOther(instance) {
		return nil
	}
	withoutBeat := 0
	if gone {
		withoutBeat = 1
	}
	result, err := s.scripts.reclaim.Run(ctx, s.clients.Normal,
		[]string{s.cfg.Cluster.Agents(), s.cfg.Cluster.Claimed(instance), s.cfg.Cluster.Commands()},
		instance, key.BeatExpiry.Milliseconds(), reclaimBatch, s.commandsTTL(), withoutBeat)
	if err != nil {
		return fmt.Errorf("reclaim: %w", err)
	}
	moved, err := conn.Ints(result, 1)
	if err != nil {
		return fmt.Errorf("reclaim: %w", err)
	}
	if moved[0] > 0 {
		s.stats.reclaimed.Add(moved[0])
		s.cfg.Logger.InfoContext(ctx, "commands of a lost agent were taken back", "instance", instance, "commands", moved[0])
	}
	return nil
}

// commandsTTL outlives every deadline, in ms.
func (s *Server) commandsTTL() int64 { return (s.cfg.MaxRuntime + key.Grace).Milliseconds() }

// handBackLua moves commands from the claimed list to the head of the commands.
//
//	KEYS[1] claimed:<instance>  KEYS[2] commands
//	ARGV    TTL of the commands in ms, then the commands in their order
//	result  {how many were moved}
const handBackLua = `
local moved = 0
for i = #ARGV, 2, -1 do
  if redis.call('LREM', KEYS[1], 0, ARGV[i]) > 0 then
    redis.call('LPUSH', KEYS[2], ARGV[i])
    moved = moved + 1
  end
end
if moved > 0 then redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[2]), tonumber(ARGV[1]))) end
return {moved}
`

// handBack gives back what was claimed and not started. No taker may be left.
func (s *Server) handBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, handBackTime)
	defer cancel()
	var backoff conn.Backoff
	for {
		err := s.tryHandBack(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		backoff.Wait(ctx)
	}
}

func (s *Server) tryHandBack(ctx context.Context) error {
	claimed, err := s.claimed(ctx)
	if err != nil {
		return fmt.Errorf("hand back: %w", err)
	}
	args := []any{s.commandsTTL()}
	for _, raw := range claimed {
		// What cannot be read or was answered is of no use to anyone.
		if id, ok := commandID(raw); ok && s.ledger.state(id) == entryNew {
			args = append(args, raw)
		}
	}
	if len(args) == 1 {
		return nil
	}
	result, err := s.scripts.handBack.Run(ctx, s.clients.Normal, []string{s.claimedBy, s.cfg.Cluster.Commands()}, args...)
	if err != nil {
		return fmt.Errorf("hand back: %w", err)
	}
	moved, err := conn.Ints(result, 1)
	if err != nil {
		return fmt.Errorf("hand back: %w", err)
	}
	s.stats.handedBack.Add(moved[0])
	return nil
}

// listenForCancels stops commands that nobody waits for any more.
func (s *Server) listenForCancels(ctx context.Context) {
	s.clients.Listen(ctx, conn.Subscription{
		Channels: []string{s.cfg.Cluster.Cancels()},
		OnMessage: func(_, id string) {
			if ValidateID(id) == nil {
				s.stats.canceled.Add(1)
				s.ledger.cancel(id, time.Now().Add(s.cfg.MaxRuntime))
			}
		},
	})
}
