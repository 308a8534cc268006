package snapshot

import (
	"context"
	"fmt"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// Forget removes everything that Redis knows of a cluster, as if it had never been
// seen. Call it when its agents have stopped: a live one writes it all again.
func Forget(ctx context.Context, clients *conn.Clients, cluster key.Cluster) error {
	err := conn.Scan(ctx, clients.Normal, cluster.Pattern(), func(keys []string) error {
		if len(keys) == 0 {
			return nil
		}
		return conn.Unavailable(clients.Normal.Unlink(ctx, keys...).Err())
	})
	if err != nil {
		return fmt.Errorf("forget %s: %w", cluster, err)
	}
	if err := clients.Normal.ZRem(ctx, key.Clusters, string(cluster)).Err(); err != nil {
		return fmt.Errorf("forget %s: %w", cluster, conn.Unavailable(err))
	}
	return nil
}
