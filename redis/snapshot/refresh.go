package snapshot

import (
	"context"
	"slices"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// batchValueBytes bounds the values that one round trip about several clusters
// brings; what is over its cluster's share comes alone.
const batchValueBytes = 32 << 20

// Ask says what is wanted of a cluster, and what the asker holds of it.
type Ask struct {
	Cluster key.Cluster
	// Seq is the publish as of which the sections are held: while it is the last one,
	// nothing is told of them. 0 for none.
	Seq int64
	// Sections that are wanted.
	Sections []Held
}

// Held is one section that is wanted.
type Held struct {
	Name model.Section
	// Hash of the value that is held, which is not sent again; "" for none.
	Hash string
}

// View is a cluster as it was at one moment. When Err is set, nothing else is but
// Info.ID and Asked.
type View struct {
	// Info is what Cluster would return without the list of clusters. Its Sections are
	// empty unless Changed, and then those that were asked for.
	Info ClusterInfo
	// Err says why Redis did not tell: a *fault.Error with store_unavailable, or that
	// the question made no sense.
	Err error
	// Unreadable says why there is a snapshot that this build cannot read: a
	// *fault.Error with store_unavailable.
	Unreadable error
	// Changed is true when the last publish is another one than the asker's Seq.
	Changed bool
	// Sections are those that were asked for, when Changed.
	Sections map[model.Section]Found
	// More is true when some of them are left out: together they are too long for one
	// answer. Ask again.
	More bool
	// ExpiresAt is when the snapshot's time runs out, on Redis's clock; zero when there
	// is none.
	ExpiresAt time.Time
	// Asked is when the question left, on this process's clock; Here and Now are one
	// moment after the answer came on this process's clock and on Redis's.
	Asked, Here, Now time.Time
}

// Present tells whether there is a snapshot that can be read.
func (v *View) Present() bool {
	return v.Err == nil && v.Unreadable == nil && !v.Info.PublishedAt.IsZero() && !v.Info.lost
}

// Found is what a View says of a section.
type Found struct {
	Meta SectionMeta
	// Same is true when the value that the asker holds is the one.
	Same bool
	// Value is the value when it is another one.
	Value *Value
	// Err says why there is neither: a *fault.Error with not_ready or
	// store_unavailable.
	Err error
}

// Value is a section's value as it lies in Redis.
type Value struct {
	stored, codec string
	unpack        *unpacker
}

// Data returns the plain msgpack. It is unpacked each time: what lies in Redis may
// be far smaller. The error is a *fault.Error with store_unavailable.
func (v *Value) Data() ([]byte, error) {
	plain, err := v.unpack.unpack([]byte(v.stored), v.codec)
	if err != nil {
		return nil, unreadable(err, "it cannot be unpacked")
	}
	return plain, nil
}

// Refresh tells what is new in some clusters, each as it is at one moment, in one
// round trip for each clustersBatch of them, and another one if anything is new in
// those of which the asker holds something. There is a View for each Ask, in order;
// one that fails is nothing to the others.
func (r *Reader) Refresh(ctx context.Context, asks []Ask) []View {
	views := make([]View, 0, len(asks))
	var away error
	for batch := range slices.Chunk(asks, clustersBatch) {
		if away != nil {
			// Who waits for the next batch would wait as long, for the same answer.
			for _, a := range batch {
				views = append(views, View{Info: ClusterInfo{ID: a.Cluster}, Err: away, Asked: r.clients.Here()})
			}
			continue
		}
		got := r.refresh(ctx, batch)
		if !slices.ContainsFunc(got, func(v View) bool { return v.Err == nil }) {
			away = got[0].Err
		}
		views = append(views, got...)
	}
	return views
}

// refresh asks about one batch: first whether anything is new, then, where it is, what.
// Each View is of one answer.
func (r *Reader) refresh(ctx context.Context, asks []Ask) []View {
	views, answers := make([]View, len(asks)), make([]conn.Answer, len(asks))
	question := func(which []int, brief func(Ask) bool) {
		calls := make([]conn.Call, len(which))
		for i, n := range which {
			calls[i] = r.refreshCall(asks[n], brief(asks[n]), len(which))
		}
		asked := r.clients.Here()
		for i, answer := range r.refreshAll.RunAll(ctx, r.clients.Normal, calls) {
			views[which[i]], answers[which[i]] = View{Info: ClusterInfo{ID: asks[which[i]].Cluster}, Asked: asked}, answer
		}
	}
	all := make([]int, len(asks))
	for i := range all {
		all[i] = i
	}
	question(all, Ask.brief)
	var changed []int
	for i, a := range asks {
		if a.brief() && a.isNew(answers[i]) {
			changed = append(changed, i)
		}
	}
	if len(changed) > 0 {
		question(changed, func(Ask) bool { return false })
	}
	for i, a := range asks {
		views[i].Err = answers[i].Err
		if invalid := a.validate(); invalid != nil {
			views[i].Err = invalid
		}
		if views[i].Err == nil {
			r.view(ctx, &views[i], a, answers[i].Value)
		}
	}
	return views
}

// validate checks what stands in keys and fields.
func (a Ask) validate() error {
	if err := key.ValidateCluster(string(a.Cluster)); err != nil {
		return fault.New(fault.BadRequest, "%s", err)
	}
	for _, s := range a.Sections {
		if err := validateSection(s.Name); err != nil {
			return fault.New(fault.BadRequest, "%s", err)
		}
	}
	if len(a.Sections) > maxSections {
		return fault.New(fault.BadRequest, "%d sections are more than %d", len(a.Sections), maxSections)
	}
	return nil
}
