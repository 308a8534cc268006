package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of /proc's processor times: USER_HZ, which is 100 on
// every platform that Go runs Linux on.
const ticksPerSecond = 100

// processorTime is what a process used so far, user and system; 0 when it is gone,
// and where there is no /proc: then the report goes without.
func processorTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	used, err := parseStat(string(text))
	if err != nil {
		return 0
	}
	return used
}

// parseStat takes fields 14 and 15, utime and stime, of proc(5)'s stat. The second
// field is the name in parentheses, which may hold anything.
func parseStat(text string) (time.Duration, error) {
	end := strings.LastIndexByte(text, ')')
	fields := strings.Fields(text[end+1:])
	const user, system = 14 - 3, 15 - 3
	if end < 0 || len(fields) <= system {
		return 0, fmt.Errorf("load: processor time: %.100q is no stat of a process", text)
	}
	sum := int64(0)
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("load: processor time: %w", err)
		}
		sum += ticks
	}
	return time.Duration(sum) * time.Second / ticksPerSecond, nil
}

// allBusy is the processor time that all processes of the machine used since it
// started: everything of the first line of proc(5)'s stat but idle, iowait, and the
// time of guests, which is in user. 0 where there is no /proc.
func allBusy() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	busy, err := parseBusy(string(text))
	if err != nil {
		return 0
	}
	return busy
}

func parseBusy(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(first)
	const user, idle, wait, guest = 1, 4, 5, 9
	if len(fields) < guest || fields[0] != "cpu" {
		return 0, fmt.Errorf("load: processor time: %.100q is no stat of a machine", first)
	}
	sum := int64(0)
	for i := user; i < guest; i++ {
		if i == idle || i == wait {
			continue
		}
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("load: processor time: %w", err)
		}
		sum += ticks
	}
	return time.Duration(sum) * time.Second / ticksPerSecond, nil
}

// usage sums the processor time of each kind of part so far. That of one which ended
// is what it had when it was told to.
func (s *stack) usage() map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[string]time.Duration{}
	for _, p := range s.parts {
		p.used = max(p.used, processorTime(p.process.PID()))
		used[p.kind] += p.used
	}
	return used
}
