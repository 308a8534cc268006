package verify

import (
	"fmt"
	"sync"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/shared/model"
)

// history is what replicas said before: what they say next may not be older.
type history struct {
	mu     sync.Mutex
	latest map[place]state
	// versions is which version each publish of a section had, whoever told.
	versions map[place]map[int64]int64
	// known are the clusters that some replica showed.
	known map[string]bool
}

// place is a section of a cluster, as one replica shows it ("" for all of them).
type place struct {
	replica, cluster string
	section          model.Section
}

// state is the newest answer: seq is the publish that changed the section last,
// version the version of its value.
type state struct{ seq, version int64 }

func newHistory() history {
	return history{latest: map[place]state{}, versions: map[place]map[int64]int64{}, known: map[string]bool{}}
}

// seen returns the newest answer so far, to be asked before a request is sent.
func (h *history) seen(p place) state {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest[p]
}

// wasShown tells whether any replica showed data of a cluster so far; shown notes
// that one did.
func (h *history) wasShown(cluster string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[cluster]
}

func (h *history) shown(cluster string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.known[cluster] = true
}

// maxVersions bounds what is remembered of one section.
const maxVersions = 1000

// add compares an answer with what was known when its request was sent.
func (h *history) add(p place, before, now state, clockSteps bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.seq > h.latest[p].seq {
		h.latest[p] = now
	}
	all := place{"", p.cluster, p.section}
	known := h.versions[all]
	if known == nil || len(known) > maxVersions {
		known = map[int64]int64{}
		h.versions[all] = known
	}
	was, told := known[now.seq]
	known[now.seq] = now.version
	switch {
	case now.seq < before.seq:
		return fmt.Errorf("%w: %s of %s went back from seq %d to %d", fleet.ErrWrong, p.section, p.cluster, before.seq, now.seq)
	case told && was != now.version:
		return fmt.Errorf("%w: seq %d of %s of %s has two values: versions %d and %d", fleet.ErrWrong, now.seq, p.section, p.cluster, was, now.version)
	case now.version < before.version && !clockSteps:
		return fmt.Errorf("%w: %s of %s went back from version %d to %d", fleet.ErrWrong, p.section, p.cluster, before.version, now.version)
	}
	return nil
}
