package bus

import (
	"sync"
	"time"
)

// entry is what the ledger knows of a command.
type entry int

const (
	entryNew      entry = iota // never heard of
	entryRunning               // started, not answered
	entryDone                  // answered
	entryCanceled              // nobody waits for it; it had not come yet
)

// maxCancels bounds the cancels of commands that have not come (and may never).
const maxCancels = 10_000

// ledger remembers commands by id until their deadline has passed, so that one
// that is met twice (by two takers after a cut, in the claimed list while it runs
// or after it was answered) runs once.
type ledger struct {
	mu       sync.Mutex
	entries  map[string]*ledgerEntry
	canceled int // entries in state entryCanceled
}

type ledgerEntry struct {
	state entry
	stop  func(error) // of a running command
	until time.Time   // when a command that is not running is forgotten
}

func newLedger() *ledger { return &ledger{entries: make(map[string]*ledgerEntry)} }

// begin notes that the command runs, unless it is or was, and returns what was
// known. stop ends the run.
func (l *ledger) begin(id string, stop func(error), until time.Time) entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.entries[id]
	was := entryNew
	if known != nil {
		was = known.state
	}
	if was == entryRunning || was == entryDone {
		return was
	}
	if was == entryCanceled {
		l.canceled--
	}
	l.entries[id] = &ledgerEntry{state: entryRunning, stop: stop, until: until}
	return was
}

// end notes that the command was answered.
func (l *ledger) end(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[id]; e != nil {
		e.state, e.stop = entryDone, nil
	}
}

// state tells what is known.
func (l *ledger) state(id string) entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[id]; e != nil {
		return e.state
	}
	return entryNew
}

// cancel stops the command if it runs. One that has not come is remembered until
// then: the message may be faster than the command.
func (l *ledger) cancel(id string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	switch {
	case e != nil && e.state == entryRunning:
		e.stop(errCanceled)
	case e == nil && l.canceled < maxCancels:
		l.entries[id] = &ledgerEntry{state: entryCanceled, until: until}
		l.canceled++
	}
}

// forget drops what is past its time.
func (l *ledger) forget(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, e := range l.entries {
		if e.state == entryRunning || now.Before(e.until) {
			continue
		}
		if e.state == entryCanceled {
			l.canceled--
		}
		delete(l.entries, id)
	}
}
