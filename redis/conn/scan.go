package conn

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Scan calls fn with the keys that match pattern, batch by batch, on every
// primary when Redis is a cluster; never twice at the same time. A key may come
// twice.
func Scan(ctx context.Context, client redis.UniversalClient, pattern string, fn func(keys []string) error) error {
	var mu sync.Mutex
	one := func(ctx context.Context, c redis.Cmdable) error {
		var cursor uint64
		for {
			keys, next, err := c.Scan(ctx, cursor, pattern, 1000).Result()
			if err != nil {
				return fmt.Errorf("scan: %w", Unavailable(err))
			}
			mu.Lock()
			err = fn(keys)
			mu.Unlock()
			if err != nil {
				return err
			}
			if next == 0 {
				return nil
			}
			cursor = next
		}
	}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return one(ctx, c) })
	}
	return one(ctx, client)
}
