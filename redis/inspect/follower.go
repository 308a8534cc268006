package inspect

import (
	"context"
	"strings"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// maxFollowed bounds the commands that are followed at a time, and those that have
	// ended and are remembered.
	maxFollowed = 10_000
	// missedLooks is at how many looks a command must be missing to be asked about: at
	// one, an agent may have it that had not said yet that it lives, and what became of it
	// may be about to be heard, in order.
	missedLooks = 2
)

// follower is one Follow.
type follower struct {
	*Inspector

	cfg    FollowConfig
	outage conn.Outage
	// known are the commands that have not ended, by id.
	known map[string]*followed
	// over are commands that have ended, the newest in the first: what is heard of them
	// late is nothing new.
	over [2]map[string]bool
	// ended is true when nothing more is to come; refused is See's error.
	ended   bool
	refused error
}

// followed is one command.
type followed struct {
	cmd   Command
	event string // the last one that a look saw; "" for none
	agent string // that claimed it
	// missing is how many looks have not seen it since the last one that did.
	missing int
}

func newFollower(i *Inspector, cfg FollowConfig) *follower {
	f := &follower{
		Inspector: i, cfg: cfg, known: make(map[string]*followed),
		outage: conn.Outage{Logger: i.logger, What: "following commands"},
		over:   [2]map[string]bool{{}, {}},
	}
	if cfg.Command != "" {
		f.known[cfg.Command] = &followed{cmd: Command{ID: cfg.Command}}
	}
	return f
}

// wants tells whether a command is to be told of.
func (f *follower) wants(id string) bool {
	return (f.cfg.Command == "" || f.cfg.Command == id) && !f.over[0][id] && !f.over[1][id]
}

// tell tells See of what happened to a command.
func (f *follower) tell(e Event) {
	if f.refused != nil {
		return
	}
	e.At = model.NewTime(f.clients.Clock(f.cfg.Cluster).Now())
	f.refused = f.cfg.See(e)
	if e.Event != eventAnswered && e.Event != eventGone {
		return
	}
	delete(f.known, e.Command)
	if len(f.over[0]) == maxFollowed {
		f.over = [2]map[string]bool{{}, f.over[0]}
	}
	f.over[0][e.Command] = true
	f.ended = f.cfg.Command != ""
}

// look tells of what the lists say.
func (f *follower) look(ctx context.Context) error {
	c := f.cfg.Cluster
	info, err := f.reader.Cluster(ctx, c)
	if err != nil {
		return err
	}
	agents := []string{""} // none has what waits
	names := []string{c.Commands()}
	for _, a := range info.Agents {
		agents, names = append(agents, a.Instance), append(names, c.Claimed(a.Instance))
	}
	lists, now, err := f.lists(ctx, c, names, MaxCommands)
	if err != nil {
		return err
	}
	found, all := make(map[string]bool), true
	for n, l := range lists {
		// What is no list has no commands: the mark of an agent that left.
		all = all && (l.odd || int64(len(l.elements)) == l.length)
		for _, cmd := range commandsOf(l, now, false) {
			if cmd.ID != "" && f.wants(cmd.ID) {
				found[cmd.ID] = true
				f.saw(cmd, agents[n])
			}
		}
	}
	if !all {
		return nil // who is missing may be in what was left out
	}
	return f.miss(ctx, found)
}

// saw takes over that a command is in the list of an agent, or waits.
func (f *follower) saw(cmd Command, agent string) {
	s := f.known[cmd.ID]
	if s == nil {
		if len(f.known) == maxFollowed {
			return // seen when others have ended
		}
		s = &followed{}
		f.known[cmd.ID] = s
	}
	event := eventWaiting
	if agent != "" {
		event = eventClaimed
	}
	s.missing = 0
	if s.event == event && s.agent == agent {
		return
	}
	s.cmd, s.event, s.agent = cmd, event, agent
	f.tell(Event{Command: cmd.ID, Event: event, Kind: cmd.Kind, Replica: cmd.Replica, LeftSeconds: cmd.LeftSeconds, Agent: agent})
}

// miss finds out what became of those that are in no list any more.
func (f *follower) miss(ctx context.Context, found map[string]bool) error {
	var missing []string
	for id, s := range f.known {
		if found[id] {
			continue
		}
		if s.missing++; s.missing >= missedLooks {
			missing = append(missing, id)
		}
	}
	for n, a := range f.answers(ctx, missing) {
		s := f.known[missing[n]]
		switch {
		case a.err != nil:
			return a.err
		case a.there:
			f.answered(s.cmd, a)
		case s.event != "":
			f.tell(Event{Command: s.cmd.ID, Event: eventGone, Kind: s.cmd.Kind, Replica: s.cmd.Replica})
		}
	}
	return nil
}

// hear tells of what was announced.
func (f *follower) hear(ctx context.Context, m message) error {
	if m.channel == f.cfg.Cluster.Cancels() {
		if bus.ValidateID(m.text) == nil && f.wants(m.text) {
			f.tell(Event{Command: m.text, Event: eventCanceled, Kind: f.kind(m.text)})
		}
		return nil
	}
	id, reply, ok := bus.Announced(m.text)
	replica := strings.TrimPrefix(m.channel, f.cfg.Cluster.Replies(""))
	if !ok || !f.wants(id) {
		return nil
	}
	cmd := Command{ID: id, Kind: f.kind(id), Replica: clip(replica)}
	if reply != "" {
		f.answered(cmd, answer{there: true, bytes: int64(len(reply)), reply: reply})
		return nil
	}
	a := f.answers(ctx, []string{id})[0]
	if ctx.Err() == nil {
		// It was announced, whether it can be read or not.
		f.answered(cmd, a)
	}
	return a.err
}

func (f *follower) kind(id string) string {
	if s := f.known[id]; s != nil {
		return s.cmd.Kind
	}
	return ""
}

func (f *follower) answered(cmd Command, a answer) {
	e := a.event(cmd.ID)
	e.Kind, e.Replica = cmd.Kind, cmd.Replica
	f.tell(e)
}
