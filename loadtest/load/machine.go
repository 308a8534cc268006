package load

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine is where the numbers come from.
type machine struct {
	cores                      int
	platform, golang, k6, prox string
	redis                      string
	on                         time.Time
}

// machineOf also finds out, before anything starts, whether the programs are there.
func machineOf(ctx context.Context, cfg Config) (m machine, err error) {
	m = machine{cores: runtime.NumCPU(), platform: runtime.GOOS + "/" + runtime.GOARCH, golang: runtime.Version(), on: time.Now().UTC()}
	if m.k6, err = version(ctx, cfg.K6, "version"); err != nil {
		return m, err
	}
	if m.prox, err = version(ctx, cfg.HAProxy, "-v"); err != nil {
		return m, err
	}
	m.redis, err = version(ctx, cfg.Redis, "--version")
	return m, err
}

// version is the first word with a digit and a dot in it of what a program says of
// itself.
func version(ctx context.Context, program, flag string) (string, error) {
	out, err := exec.CommandContext(ctx, program, flag).Output()
	if err != nil {
		return "", fmt.Errorf("load: %s %s: %w", program, flag, err)
	}
	for word := range strings.FieldsSeq(string(out)) {
		word = strings.TrimPrefix(word, "v=")
		if strings.ContainsAny(word, "0123456789") && strings.Contains(word, ".") {
			return word, nil
		}
	}
	return "", fmt.Errorf("load: %s %s tells no version", program, flag)
}
