package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

const (
	// clustersBatch is how many clusters are read in one round trip.
	clustersBatch = 100
	// serverWait bounds one question to a server of Redis Cluster: one that is away must
	// not keep those waiting who ask for what others hold.
	serverWait = time.Second
)

// forOneServer bounds the wait for one of several servers.
func (r *Reader) forOneServer(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.clients.Topology() != conn.Cluster {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, serverWait)
}

// readAll reads the agents and the meta of clusters, of those on different servers at
// the same time. One that cannot be read has State SnapshotUnreachable; when none can,
// there is an error.
func (r *Reader) readAll(ctx context.Context, ids []key.Cluster, read reading) ([]ClusterInfo, error) {
	servers := make(map[string][]int)
	for i, c := range ids {
		server := r.clients.Server(c)
		servers[server] = append(servers[server], i)
	}
	infos, failed := make([]ClusterInfo, len(ids)), make([]error, len(ids))
	var busy sync.WaitGroup
	for _, which := range servers {
		busy.Go(func() { read.some(ctx, ids, which, infos, failed) })
	}
	busy.Wait()
	reached := len(ids) == 0
	for i, err := range failed {
		reached = reached || err == nil
		if err != nil {
			infos[i] = ClusterInfo{ID: ids[i], Status: Unknown, State: SnapshotUnreachable}
		}
	}
	if !reached {
		return nil, failed[0]
	}
	return infos, nil
}

// reading reads some clusters in one round trip, each with its own error.
type reading func(ctx context.Context, ids []key.Cluster) ([]ClusterInfo, []error)

// some reads those of ids that are on one server, by index, in batches.
func (read reading) some(ctx context.Context, ids []key.Cluster, which []int, infos []ClusterInfo, failed []error) {
	var away error
	for batch := range slices.Chunk(which, clustersBatch) {
		some := make([]key.Cluster, len(batch))
		for i, n := range batch {
			some[i] = ids[n]
		}
		got, errs := make([]ClusterInfo, len(batch)), slices.Repeat([]error{away}, len(batch))
		if away == nil {
			got, errs = read(ctx, some)
		}
		for i, n := range batch {
			infos[n], failed[n] = got[i], errs[i]
			if errs[i] != nil && !isReply(errs[i]) {
				away = errs[i] // the next batch would wait as long, for the same answer
			}
		}
	}
}

// isReply tells a server's refusal from silence.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// read reads the agents and the meta of some clusters in one round trip, each with its
// own error.
func (r *Reader) read(ctx context.Context, ids []key.Cluster) ([]ClusterInfo, []error) {
	ctx, cancel := r.forOneServer(ctx)
	defer cancel()
	calls := make([]conn.Call, len(ids))
	for i, c := range ids {
		calls[i] = conn.Call{Keys: []string{c.Agents(), c.Meta(), c.Snapshot()}, Args: []any{maxHashFields, maxHashBytes}}
	}
	infos, failed := make([]ClusterInfo, len(ids)), make([]error, len(ids))
	for i, answer := range r.readHashes.RunAll(ctx, r.clients.Normal, calls) {
		err := answer.Err
		if err == nil {
			infos[i], err = r.parse(ctx, ids[i], answer.Value)
		}
		if err != nil {
			failed[i] = fmt.Errorf("read clusters: %w", err)
		}
	}
	return infos, failed
}

// parse reads the answer of hashesLua about one cluster.
func (r *Reader) parse(ctx context.Context, c key.Cluster, answer any) (ClusterInfo, error) {
	h, err := hashesOf(answer, 3)
	if err != nil {
		return ClusterInfo{}, err
	}
	if h.agentsErr != nil {
		r.cfg.Logger.WarnContext(ctx, "the agents of a cluster cannot be read", "cluster", c, "error", h.agentsErr)
	}
	info := ClusterInfo{ID: c, Agents: r.parseAgents(ctx, c, h.agents)}
	if err := errors.Join(h.metaErr, h.fieldErr, r.parseMeta(&info, h.meta)); err != nil {
		r.cfg.Logger.WarnContext(ctx, "the snapshot of a cluster cannot be read", "cluster", c, "error", err)
		info.unreadable = true
	}
	info.lost = h.fieldErr == nil && h.snapshotFields == 0 && info.collected()
	info.judge(r.clients.Clock(c).Now())
	return info, nil
}
