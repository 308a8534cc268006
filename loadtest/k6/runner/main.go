// Command runner is k6 with one module more: k6/x/sse, which reads server-sent
// events. k6's own HTTP client returns a response only when it has ended.
package main

import (
	"go.k6.io/k6/cmd"
	"go.k6.io/k6/js/modules"

	"github.com/atlhyper/observe/loadtest/k6/runner/sse"
)

func main() {
	modules.Register("k6/x/sse", sse.Module{})
	cmd.Execute()
}
