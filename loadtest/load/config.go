package load

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Config says what runs and where. The zero value of a field means its default.
type Config struct {
	// BinDir holds the binaries master and atlhyper. Required.
	BinDir string
	// K6, HAProxy and Redis are the programs, names of the PATH or paths. Default
	// "k6", "haproxy" and "redis-server". K6 must have the module k6/x/sse.
	K6, HAProxy, Redis string
	// Scripts is the folder of k6's scripts. Required.
	Scripts string
	// Only are the names of the scripts to run, without ".js". Default: all.
	Only []string
	// Duration is how long each script's load lasts, 10 s to 1 h. Default 1 min.
	Duration time.Duration
	// Load is a factor on all rates and stream counts. Default 1: sized for 2 cores
	// that run everything.
	Load float64
	// Clusters is how many are simulated, 1 to 10,000. Default 100.
	Clusters int
	// Masters is how many replicas stand behind the balancer, 2 to 20. Default 3.
	Masters int
	// Raw is the folder for k6's samples and summaries, made if it is not there.
	// Required.
	Raw string
	// Report is the Markdown file to write; plots go into a folder beside it with its
	// name without the ending. Default: no report.
	Report string
	// Output gets what a person reads. Required.
	Output io.Writer
}

func (c Config) withDefaults() (Config, error) {
	setDefault(&c.K6, "k6")
	setDefault(&c.HAProxy, "haproxy")
	setDefault(&c.Redis, "redis-server")
	setDefault(&c.Duration, time.Minute)
	setDefault(&c.Load, 1)
	setDefault(&c.Clusters, 100)
	setDefault(&c.Masters, 3)
	var names []string
	for _, s := range scripts() {
		names = append(names, s.name)
	}
	for _, only := range c.Only {
		if !slices.Contains(names, only) {
			return c, fmt.Errorf("load: only: %q is none of %s", only, strings.Join(names, ", "))
		}
	}
	switch {
	case c.BinDir == "" || c.Scripts == "" || c.Raw == "" || c.Output == nil:
		return c, errors.New("load: BinDir, Scripts, Raw and Output are required")
	case c.Duration < 10*time.Second || c.Duration > time.Hour:
		return c, fmt.Errorf("load: duration: %s is not between 10s and 1h", c.Duration)
	case !(c.Load > 0 && c.Load <= 100):
		return c, fmt.Errorf("load: load: %v is not between 0 and 100", c.Load)
	case c.Clusters < 1 || c.Clusters > 10_000:
		return c, fmt.Errorf("load: clusters: %d is not between 1 and 10,000", c.Clusters)
	case c.Masters < 2 || c.Masters > 20:
		return c, fmt.Errorf("load: masters: %d is not between 2 and 20", c.Masters)
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
