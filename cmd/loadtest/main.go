// Command loadtest runs k6's scripts against masters, a balancer and simulated
// clusters that it starts, and writes the report; see loadtest/load.
package main

import (
	"context"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/cmd/internal/cli"
	"github.com/atlhyper/observe/loadtest/load"
)

// flags are not read from the environment: a test runs the same everywhere.
type flags struct {
	BinDir   string        `default:"bin" help:"Folder of the binaries master and atlhyper." type:"path"`
	Scripts  string        `default:"loadtest/k6" help:"Folder of the scripts." type:"path"`
	Only     []string      `help:"Run only these scripts, named without .js." placeholder:"NAME"`
	Duration time.Duration `default:"1m" help:"How long the load of each script lasts."`
	Load     float64       `default:"1" help:"Factor on all rates and stream counts."`
	Clusters int           `default:"100" help:"Simulated clusters."`
	Masters  int           `default:"3" help:"Replicas behind the balancer."`
	Raw      string        `default:"out/loadtest" help:"Folder for k6's samples and summaries." type:"path"`
	Report   string        `help:"Markdown file to write; plots go into a folder beside it. Without it there is no report." type:"path" placeholder:"FILE"`
	K6       string        `default:"k6" help:"k6 with the module k6/x/sse (loadtest/k6/runner)." name:"k6"`
	HAProxy  string        `default:"haproxy" help:"The balancer." name:"haproxy"`
	Redis    string        `default:"redis-server" help:"The server."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("loadtest"), kong.Description("Runs the load tests on this machine and writes their report."))
	cli.Main(func(ctx context.Context) error {
		return load.Run(ctx, load.Config{
			BinDir: f.BinDir, K6: f.K6, HAProxy: f.HAProxy, Redis: f.Redis, Scripts: f.Scripts, Only: f.Only,
			Duration: f.Duration, Load: f.Load, Clusters: f.Clusters, Masters: f.Masters, Raw: f.Raw, Report: f.Report, Output: os.Stdout,
		})
	})
}
