package snapshot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// health is what Health says of the one cluster.
func (r *rig) health() snapshot.ClusterInfo {
	r.t.Helper()
	infos, left, err := r.reader.Health(r.t.Context(), 10)
	if err != nil || len(infos) != 1 || left != 0 {
		r.t.Fatalf("%d clusters and %d more, %v; want one", len(infos), left, err)
	}
	return infos[0]
}

// Health says of a cluster what Clusters says, but for the details of its sections.
func TestHealthIsWhatClustersSay(t *testing.T) {
	t.Parallel()
	for name, setup := range map[string]func(*rig){
		"online": func(r *rig) {
			r.putBeat(cluster, "a1", 0, beat.Beat{Slots: 4, Version: "v1"})
			w := r.writer(nil)
			r.publish(w, good(r.t, "a", 1), good(r.t, "b", 2))
			r.publish(w, snapshot.Update{Name: "b", Err: "away"}, snapshot.Update{Name: "c", Err: "never"})
			r.do(r.admin.RPush(r.t.Context(), cluster.Commands(), "x", "y"))
		},
		"agent just started": func(r *rig) { r.putBeat(cluster, "a1", 0, beat.Beat{}) },
		"agent died": func(r *rig) {
			at := r.clients.Now().Add(-2 * time.Minute)
			r.putBeat(cluster, "a1", 90*time.Second, beat.Beat{PublishedAt: at, Interval: 10 * time.Second})
		},
		"evicted": func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.Del(r.t.Context(), cluster.Snapshot()))
		},
		"other layout": func(r *rig) {
			r.publish(r.writer(nil), good(r.t, "a", 1))
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSchema, "7"))
		},
		"only on the list": func(*rig) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRigOn(t, redistest.Start(t))
			r.putScore(float64(r.clients.Now().UnixMilli()))
			setup(r)
			infos, err := r.reader.Clusters(t.Context())
			if err != nil || len(infos) != 1 {
				t.Fatalf("%v, %v", infos, err)
			}
			want, got := infos[0], r.health()
			for section, meta := range want.Sections {
				failed := ""
				if meta.Error != "" {
					failed = "1"
				}
				want.Sections[section] = snapshot.SectionMeta{At: meta.At, Error: failed}
			}
			for section, meta := range got.Sections {
				if age := r.clients.Now().Sub(meta.At); !meta.At.IsZero() && (meta.Age < 0 || meta.Age > age) {
					t.Errorf("%s is %s old, want at most %s", section, meta.Age, age)
				}
				got.Sections[section] = snapshot.SectionMeta{At: meta.At, Error: meta.Error}
			}
			want.Publisher = ""
			want.Queue = r.admin.LLen(t.Context(), cluster.Commands()).Val()
			if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(snapshot.ClusterInfo{}, snapshot.AgentInfo{})); diff != "" {
				t.Errorf("Clusters and Health differ:\n%s", diff)
			}
		})
	}
}

// What agents write cannot make masters read without bound, nor hide a cluster.
func TestHealthIsBounded(t *testing.T) {
	t.Parallel()
	for name, setup := range map[string]func(*rig){
		"long error": func(r *rig) {
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), "a.error", strings.Repeat("x", 8<<20)))
		},
		"long time": func(r *rig) {
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), "a.at", strings.Repeat("1", 8<<20)))
		},
		"many sections": func(r *rig) {
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSections, strings.Repeat("a ", 10_000)))
		},
		"long list of sections": func(r *rig) {
			r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSections, strings.Repeat("x", 8<<20)))
		},
		"meta is no hash":   func(r *rig) { r.replace(cluster.Meta()) },
		"agents are none":   func(r *rig) { r.replace(cluster.Agents()) },
		"queue is no list":  func(r *rig) { r.replace(cluster.Commands()) },
		"snapshot is none":  func(r *rig) { r.replace(cluster.Snapshot()) },
		"sections of noise": func(r *rig) { r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), key.MetaSections, "\x00 *.* a.b.c é")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRigOn(t, redistest.Start(t))
			r.putScore(float64(r.clients.Now().UnixMilli()))
			r.publish(r.writer(nil), good(r.t, "a", 1))
			setup(r)
			info := r.health()
			if info.ID != cluster || info.Status != snapshot.Offline {
				t.Errorf("%+v", info)
			}
			if (info.Queue < 0) != (name == "queue is no list") {
				t.Errorf("the queue has %d commands", info.Queue)
			}
			for section, meta := range info.Sections {
				if len(section) > 200 || len(meta.Error) > 1 {
					t.Errorf("section %.100s with %d bytes of error", section, len(meta.Error))
				}
			}
		})
	}
}

// replace puts a string where something else should be.
func (r *rig) replace(name string) {
	r.t.Helper()
	r.do(r.admin.Del(r.t.Context(), name))
	r.do(r.admin.Set(r.t.Context(), name, "x", 0))
}

// The first clusters by id are read, the others counted.
func TestHealthOfTheFirst(t *testing.T) {
	t.Parallel()
	r := newRigOn(t, redistest.Start(t))
	for i := range 250 { // more than go in one round trip
		c := key.Cluster(fmt.Sprintf("c%03d", i))
		r.putBeat(c, "a1", 0, beat.Beat{})
		r.do(r.admin.ZAdd(t.Context(), key.Clusters, redis.Z{Member: string(c), Score: float64(r.clients.Now().UnixMilli())}))
	}
	infos, left, err := r.reader.Health(t.Context(), 240)
	if err != nil || len(infos) != 240 || left != 10 || infos[0].ID != "c000" || infos[239].ID != "c239" || infos[239].Agents == nil {
		t.Errorf("%d clusters and %d more, %v", len(infos), left, err)
	}
	r.server.Stop()
	if _, _, err := r.reader.Health(t.Context(), 240); err == nil {
		t.Error("Redis is away, and that is no error")
	}
}

// BenchmarkHealth beside Clusters, of 1,000 clusters with 30 sections each.
func BenchmarkHealth(b *testing.B) {
	clients := conntest.Open(b, conn.Config{URL: redistest.Start(b).URL()})
	for i := range 1000 {
		c := key.Cluster(fmt.Sprintf("c%03d", i))
		w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: c, Instance: "a1", Version: "v1", Interval: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		var updates []snapshot.Update
		for n := range 30 {
			updates = append(updates, good(b, model.Section(fmt.Sprintf("k8s.section%d", n)), n))
		}
		if _, err := w.Publish(b.Context(), updates); err != nil {
			b.Fatal(err)
		}
		if err := clients.Normal.ZAdd(b.Context(), key.Clusters, redis.Z{Member: string(c), Score: float64(clients.Now().UnixMilli())}).Err(); err != nil {
			b.Fatal(err)
		}
	}
	r := snapshot.NewReader(clients, snapshot.ReaderConfig{})
	for name, read := range map[string]func() error{
		"Health":   func() error { _, _, err := r.Health(b.Context(), 1000); return err },
		"Clusters": func() error { _, err := r.Clusters(b.Context()); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
