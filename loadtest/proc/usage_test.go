package proc_test

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/proc"
)

// What this process uses is counted, and cannot be more than there was.
func TestUsage(t *testing.T) {
	t.Parallel()
	began := time.Now()
	before, err := proc.ProcessorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	used := before
	for sum := 0; used < before+50*time.Millisecond; sum++ { // spins until it is counted
		if used, err = proc.ProcessorTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	// Counted in ticks of 10 ms, and for each thread.
	if most := time.Since(began)*time.Duration(runtime.NumCPU()) + time.Second; used-before > most {
		t.Errorf("%s of processor time in %s", used-before, time.Since(began))
	}
	now, err := proc.ResidentMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	peak, err := proc.PeakMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if now < 1<<20 || peak < now/2 {
		t.Errorf("memory: now %d, at most %d", now, peak)
	}
	if gone, err := proc.ProcessorTime(1 << 30); gone != 0 || err != nil {
		t.Errorf("a process that is not there: %s, %v", gone, err)
	}
	if load := proc.LoadAverage(); load == "unknown" || load == "" {
		t.Errorf("load average %q", load)
	}
}
