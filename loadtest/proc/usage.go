package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// LoadAverage is the machine's over 1, 5 and 15 minutes, as Linux writes it;
// "unknown" elsewhere.
func LoadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// ProcessorTime is what a process has used so far, as Linux counts it in hundredths
// of a second; 0 elsewhere.
func ProcessorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	// The name in the second field may hold anything; utime and stime are the 14th
	// and 15th.
	_, rest, _ := strings.Cut(string(text), ") ")
	var sum time.Duration
	if fields := strings.Fields(rest); len(fields) > 12 {
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("processor time: %w", err)
			}
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum, nil
}

// ResidentMemory is what a process has in memory now, in bytes, and PeakMemory the
// most that it ever had; 0 where the system does not say.
func ResidentMemory(pid int) (int64, error) { return memory(pid, "VmRSS:") }

// PeakMemory is described at ResidentMemory.
func PeakMemory(pid int) (int64, error) { return memory(pid, "VmHWM:") }

func memory(pid int, field string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, nil
}
