package serve

import (
	"context"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/loadtest/proc"
)

// loop is callers that each call again as soon as they have their answer.
type loop struct {
	callers int
	length  time.Duration
	// processes are those whose processor time is counted.
	processes []int
	// open makes the caller of a number.
	open func(ctx context.Context, number int) (caller, error)
}

// caller is one of them; it is used by one goroutine.
type caller interface {
	call() error
	close() error
}

// sample is what one run of a loop measured.
type sample struct {
	calls     int
	took      time.Duration
	latencies []time.Duration // of all calls, sorted
	used      []time.Duration // processor time of loop.processes
	client    time.Duration   // processor time of this process
}

// run runs the loop once. Every caller calls once before the time begins, so that
// what only the first call costs (connections, buffers) is not measured.
func (l loop) run(ctx context.Context) (sample, error) {
	var ready sync.WaitGroup
	ready.Add(l.callers)
	begin := make(chan struct{})
	var end time.Time // set before begin is closed
	latencies := make([][]time.Duration, l.callers)
	callers, ctx := errgroup.WithContext(ctx)
	for i := range l.callers {
		callers.Go(func() (err error) {
			c, err := l.warm(ctx, i)
			ready.Done()
			if err != nil {
				return err
			}
			defer func() { err = firstError(err, c.close()) }()
			<-begin
			latencies[i], err = repeat(ctx, c, end)
			return err
		})
	}
	ready.Wait()
	used, client, err := l.usage()
	began := time.Now()
	end = began.Add(l.length)
	close(begin)
	if err := firstError(callers.Wait(), err); err != nil {
		return sample{}, err
	}
	s := sample{took: time.Since(began), latencies: slices.Concat(latencies...)}
	after, clientAfter, err := l.usage()
	if err != nil {
		return sample{}, err
	}
	for i := range used {
		s.used = append(s.used, after[i]-used[i])
	}
	s.client = clientAfter - client
	s.calls = len(s.latencies)
	slices.Sort(s.latencies)
	return s, nil
}

func (l loop) warm(ctx context.Context, number int) (caller, error) {
	c, err := l.open(ctx, number)
	if err != nil {
		return nil, err
	}
	// A machine that is busy with others may have let something time out before.
	if err := until(ctx, "an answer", c.call); err != nil {
		return nil, firstError(err, c.close())
	}
	return c, nil
}

// repeat calls until the end, at least once.
func repeat(ctx context.Context, c caller, end time.Time) ([]time.Duration, error) {
	var latencies []time.Duration
	began := time.Now()
	for {
		if err := c.call(); err != nil {
			return nil, err
		}
		now := time.Now()
		latencies = append(latencies, now.Sub(began))
		if !now.Before(end) {
			return latencies, ctx.Err()
		}
		began = now
	}
}

func (l loop) usage() (processes []time.Duration, client time.Duration, err error) {
	for _, pid := range l.processes {
		used, err := proc.ProcessorTime(pid)
		if err != nil {
			return nil, 0, err
		}
		processes = append(processes, used)
	}
	client, err = proc.ProcessorTime(os.Getpid())
	return processes, client, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// perSecond is how many calls there were in a second.
func (s sample) perSecond() float64 { return float64(s.calls) / s.took.Seconds() }

// quantile is a latency in milliseconds, by the nearest rank.
func (s sample) quantile(q float64) float64 {
	rank := int(math.Ceil(q*float64(len(s.latencies)))) - 1
	return float64(s.latencies[max(rank, 0)].Microseconds()) / 1000
}

func (s sample) p50() float64 { return s.quantile(0.50) }
func (s sample) p99() float64 { return s.quantile(0.99) }

// perCall is the processor time of a call, in microseconds, of the processes with
// these places in loop.processes.
func (s sample) perCall(places ...int) float64 {
	var sum time.Duration
	for _, i := range places {
		sum += s.used[i]
	}
	return float64(sum.Microseconds()) / float64(s.calls)
}

func (s sample) clientPerCall() float64 { return float64(s.client.Microseconds()) / float64(s.calls) }

// median of what the rounds measured.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// over is a figure of all rounds.
func over(rounds []sample, figure func(sample) float64) float64 {
	list := make([]float64, len(rounds))
	for i, s := range rounds {
		list[i] = figure(s)
	}
	return median(list)
}

// ratio is how many times as much a is as b. It compares the rounds one by one: two
// that were measured one after the other share what else the machine did.
func ratio(a, b []sample, figure func(sample) float64) float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = figure(a[i]) / figure(b[i])
	}
	return median(list)
}
