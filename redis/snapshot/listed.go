package snapshot

import (
	"context"
	"maps"
	"time"

	"github.com/atlhyper/observe/redis/key"
)

// Listed returns the clusters that Clusters would read, and when the list says that
// each was seen, on its clock; zero for those that this process remembers while Redis
// has lost them, or, beside an error, cannot be asked. Errors: store_unavailable.
func (r *Reader) Listed(ctx context.Context) (map[key.Cluster]time.Time, error) {
	listed, err := r.readList(ctx)
	all := make(map[key.Cluster]time.Time, len(listed))
	for c := range r.memory.all(r.clients.Here()) {
		all[c] = time.Time{}
	}
	maps.Copy(all, listed)
	return all, err
}

// Judge completes the Info of a View by what Listed says of the cluster. It tells
// whether anything says that the cluster was ever there.
func (r *Reader) Judge(info ClusterInfo, listed time.Time) (ClusterInfo, bool) {
	r.judge(&info, listed)
	return info, info.known()
}
