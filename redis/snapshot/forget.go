package snapshot

import (
	"context"
	"fmt"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// Forget removes what Redis knows of a cluster and tells the masters, who else would
// remember it for 7 days, to forget it, too. Call it when its agents have stopped: a
// live one writes it all again, and the cluster is known again.
func Forget(ctx context.Context, clients *conn.Clients, cluster key.Cluster) error {
	if err := key.ValidateCluster(string(cluster)); err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	if err := removeKeys(ctx, clients, cluster); err != nil {
		return err
	}
	if _, err := conn.NewScript(forgetLua).Run(ctx, clients.Normal, []string{key.Clusters}, string(cluster)); err != nil {
		return fmt.Errorf("forget %s: %w", cluster, err)
	}
	return nil
}

// Erase removes everything that Redis knows of a cluster, as if it had never been
// there. It is for when no master runs either: one that does remembers the cluster.
func Erase(ctx context.Context, clients *conn.Clients, cluster key.Cluster) error {
	if err := removeKeys(ctx, clients, cluster); err != nil {
		return err
	}
	if err := clients.Normal.ZRem(ctx, key.Clusters, string(cluster)).Err(); err != nil {
		return fmt.Errorf("erase %s: %w", cluster, conn.Unavailable(err))
	}
	return nil
}

func removeKeys(ctx context.Context, clients *conn.Clients, cluster key.Cluster) error {
	err := conn.Scan(ctx, clients.Normal, cluster.Pattern(), func(keys []string) error {
		if len(keys) == 0 {
			return nil
		}
		return conn.Unavailable(clients.Normal.Unlink(ctx, keys...).Err())
	})
	if err != nil {
		return fmt.Errorf("remove the keys of %s: %w", cluster, err)
	}
	return nil
}
