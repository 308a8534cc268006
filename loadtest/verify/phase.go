package verify

import (
	"maps"
	"sync"
	"time"
)

// The codes of answers that are no refusals of the API.
const (
	// OK is the data, fresh.
	OK = "ok"
	// Stale is the data, with a word on why it is old.
	Stale = "stale"
	// Unreachable is a replica that does not accept connections or cut one.
	Unreachable = "unreachable"
	// NoAnswer is a replica that said nothing for a minute.
	NoAnswer = "no answer"
	// HungUp is a request that the client ended itself.
	HungUp = "hung up"
)

// Counts are the answers to one kind of request.
type Counts struct {
	// Codes is how many answers had each code, refusals of the API under theirs.
	Codes map[string]int
	// Worst is the longest wait for an answer.
	Worst time.Duration
}

// Total is how many answers there were.
func (c Counts) Total() int {
	n := 0
	for _, count := range c.Codes {
		n += count
	}
	return n
}

func (c *Counts) add(other Counts) {
	for code, n := range other.Codes {
		c.Codes[code] += n
	}
	c.Worst = max(c.Worst, other.Worst)
}

// Phase is a part of a test.
type Phase struct {
	// Name of the phase.
	Name string

	mu         sync.Mutex
	dashboards Counts
	details    Counts
	skipped    int
	wrong      int
	forgotten  int
	examples   []string
	lastBad    time.Time
}

func newPhase(name string) *Phase {
	return &Phase{Name: name, dashboards: Counts{Codes: map[string]int{}}, details: Counts{Codes: map[string]int{}}}
}

// maxExamples is how many wrong answers are kept word by word.
const maxExamples = 20

func (p *Phase) note(c *Counts, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Codes[a.code]++
	c.Worst = max(c.Worst, a.took)
	if a.code != OK && a.code != HungUp && a.began.After(p.lastBad) {
		p.lastBad = a.began
	}
	if a.forgotten {
		p.forgotten++
	}
	if a.wrong != nil {
		p.wrong++
		if len(p.examples) < maxExamples {
			p.examples = append(p.examples, a.wrong.Error())
		}
	}
}

func (p *Phase) skip() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skipped++
}

// Dashboards are the answers from snapshots.
func (p *Phase) Dashboards() Counts { return p.copy(&p.dashboards) }

// Details are the answers of agents.
func (p *Phase) Details() Counts { return p.copy(&p.details) }

func (p *Phase) copy(c *Counts) Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{Codes: maps.Clone(c.Codes), Worst: c.Worst}
}

// Wrong is how many answers were wrong, and some of them.
func (p *Phase) Wrong() (count int, examples []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong, append([]string(nil), p.examples...)
}

// SaidUnknown is how many answers said of a cluster that was shown before that it
// is unknown.
func (p *Phase) SaidUnknown() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.forgotten
}

// LastBad is when the last request was sent that got neither data nor hung up; zero
// when all did.
func (p *Phase) LastBad() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastBad
}

// Skipped is how many requests were not sent because too many were under way.
func (p *Phase) Skipped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.skipped
}
