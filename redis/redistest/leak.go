package redistest

import (
	"testing"

	"go.uber.org/goleak"
)

// VerifyTestMain is goleak's, for tests in which a Redis goes away: the library notices
// that a client was closed only when it is done sleeping, a second before it tries again
// to reach a server that it could not, a fifth after it read the slots of Redis Cluster.
func VerifyTestMain(m *testing.M, opts ...goleak.Option) {
	const library = "github.com/redis/go-redis/v9"
	goleak.VerifyTestMain(m, append(opts,
		goleak.IgnoreAnyFunction(library+"/internal/pool.(*ConnPool).tryDial"),
		goleak.IgnoreAnyFunction(library+".(*clusterStateHolder).LazyReload.func1"),
	)...)
}
