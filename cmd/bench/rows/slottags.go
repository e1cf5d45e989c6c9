package rows

import (
	"context"
	"maps"
	"slices"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// drawTags returns what redis-benchmark puts in the place of randomTag: one for a slot of
// each master, or of every slot, as its version has it. It takes them from a table that
// it tells nobody, so it writes keys of that name until no new ones come.
func (p *pushes) drawTags(ctx context.Context, redis *goredis.ClusterClient) ([]string, error) {
	all := map[string]bool{}
	for draws := int64(1_000); ; draws *= 16 {
		known := len(all)
		if _, err := p.run(ctx, draws, "set", randomTag, "x"); err != nil {
			return nil, err
		}
		var mu sync.Mutex
		err := redis.ForEachMaster(ctx, func(ctx context.Context, master *goredis.Client) error {
			keys, err := master.Keys(ctx, "*").Result()
			mu.Lock()
			defer mu.Unlock()
			for _, key := range keys {
				all[key] = true
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(all) == known {
			flush := func(ctx context.Context, master *goredis.Client) error { return master.FlushAll(ctx).Err() }
			return slices.Sorted(maps.Keys(all)), redis.ForEachMaster(ctx, flush)
		}
	}
}
