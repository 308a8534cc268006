package snapshot_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec/wiretest"
	"github.com/atlhyper/observe/shared/model"
)

var update = flag.Bool("update", false, "rewrite the golden files: the snapshot changes for agents and masters in the field")

func goldenFiles() wiretest.Files { return wiretest.Files{Dir: "testdata", Update: *update} }

const (
	metaFile    = "meta.json"
	eventFile   = "event"
	sectionFile = "section.zst"
	// nowish stands for a time, which is another one each time.
	nowish = "<ms>"
)

// milliseconds of these years.
var milliseconds = regexp.MustCompile(`\b[12]\d{12}\b`)

// rows is a value that is worth compressing.
func rows(t *testing.T) []byte {
	t.Helper()
	return encode(t, strings.Repeat("a row of telemetry ", 50))
}

// goldenUpdates say all that an agent can say of a section: first the good one, then
// the one that failed.
func goldenUpdates(t *testing.T) [2]snapshot.Update {
	t.Helper()
	good := snapshot.Update{
		Name: "metrics.nodes", Data: rows(t), At: time.Now(), Took: 31 * time.Millisecond, Window: 5 * time.Minute,
		Interval: 20 * time.Second, CompressAbove: 100, Reads: snapshot.Reads{Statements: 3, Rows: 8450, Bytes: 1_234_567},
	}
	bad := good
	bad.Data, bad.Err = nil, "ClickHouse is away"
	return [2]snapshot.Update{good, bad}
}

// goldenMeta is how a master reads what they say, but for the times.
func goldenMeta(t *testing.T) snapshot.SectionMeta {
	t.Helper()
	return snapshot.SectionMeta{
		Interval: 20 * time.Second, Window: 5 * time.Minute, Took: 31 * time.Millisecond, Error: "ClickHouse is away", Stale: true,
		Reads: snapshot.Reads{Statements: 3, Rows: 8450, Bytes: 1_234_567}, Bytes: int64(len(rows(t))), Codec: "zstd",
	}
}

func butTimes() cmp.Option {
	return cmpopts.IgnoreFields(snapshot.SectionMeta{}, "At", "Age", "PublishedAt", "Seq", "Hash")
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// What an agent writes for masters of the release before.
func TestGoldenSnapshot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	events := r.admin.Subscribe(t.Context(), cluster.Events())
	t.Cleanup(func() {
		if err := events.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := events.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	w, updates := r.writer(nil), goldenUpdates(t)
	r.publish(w, updates[0], snapshot.Update{Name: "slo.summary", Err: "there is no such table"})
	event, err := events.ReceiveMessage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	goldenFiles().Written(t, eventFile, milliseconds.ReplaceAll([]byte(event.Payload), []byte(nowish)))
	r.publish(w, updates[1])
	meta, err := r.admin.HGetAll(t.Context(), cluster.Meta()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for field, value := range meta {
		meta[field] = milliseconds.ReplaceAllString(value, nowish)
	}
	goldenFiles().Written(t, metaFile, indented(t, meta))
	if *update { // its bytes are the compressor's, and may be others with its next release
		stored, err := r.admin.HGet(t.Context(), cluster.Snapshot(), "metrics.nodes").Bytes()
		if err != nil {
			t.Fatal(err)
		}
		goldenFiles().Written(t, sectionFile, stored)
	}
}

// What agents of earlier releases wrote is what a master shows, and what an agent of
// today goes on from.
func TestEarlierSnapshots(t *testing.T) {
	t.Parallel()
	for _, old := range goldenFiles().All(t, metaFile) {
		t.Run(old.Release, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.restore(old.Data)
			got := r.section("metrics.nodes")
			if diff := cmp.Diff(goldenMeta(t), got.Meta, butTimes()); diff != "" {
				t.Errorf("its meta is read as (-want +got):\n%s", diff)
			}
			if !bytes.Equal(got.Data, rows(t)) || got.Meta.At.IsZero() || got.Meta.PublishedAt.IsZero() || got.Meta.Seq == 0 || got.Meta.Hash == "" {
				t.Errorf("it is read as %d bytes, %+v", len(got.Data), got.Meta)
			}
			seq, at := got.Meta.Seq, got.Meta.At

			// The one that wrote it has no beat any more and left.
			r.do(r.admin.HDel(t.Context(), cluster.Meta(), key.MetaAgent))
			w, updates := r.writer(func(c *snapshot.WriterConfig) { c.Instance = "a2" }), goldenUpdates(t)
			if p := r.publish(w, updates[1]); p.Standby || p.Seq <= seq {
				t.Errorf("an agent of today publishes %+v after %d", p, seq)
			}
			got = r.section("metrics.nodes")
			if diff := cmp.Diff(goldenMeta(t), got.Meta, butTimes()); diff != "" || !got.Meta.At.Equal(at) {
				t.Errorf("after a publish of today it is from %s instead of %s (-want +got):\n%s", got.Meta.At, at, diff)
			}
		})
	}
}

// restore puts a golden snapshot into Redis as of now.
func (r *rig) restore(meta []byte) {
	r.t.Helper()
	now, err := r.admin.Time(r.t.Context()).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(meta, &fields); err != nil {
		r.t.Fatal(err)
	}
	for field, value := range fields {
		r.do(r.admin.HSet(r.t.Context(), cluster.Meta(), field, strings.ReplaceAll(value, nowish, strconv.FormatInt(now.UnixMilli(), 10))))
	}
	files := goldenFiles().All(r.t, sectionFile)
	if len(files) == 0 {
		r.t.Fatal("there is no compressed section: make golden writes it")
	}
	for _, stored := range files {
		r.do(r.admin.HSet(r.t.Context(), cluster.Snapshot(), "metrics.nodes", stored.Data))
		if got := r.section("metrics.nodes"); !bytes.Equal(got.Data, rows(r.t)) {
			r.t.Errorf("what %s compressed is read as %d bytes", stored.Release, len(got.Data))
		}
	}
}

// What another release does not say, or says besides, leaves the rest as it is.
func TestOtherReleases(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	files := goldenFiles().All(t, metaFile)
	newest := files[len(files)-1].Data
	var fields map[string]string
	if err := json.Unmarshal(newest, &fields); err != nil {
		t.Fatal(err)
	}
	r.restore(newest)
	for _, field := range []string{"weather", "metrics.nodes.weather", "forecast.weather"} {
		r.do(r.admin.HSet(t.Context(), cluster.Meta(), field, "rain"))
	}
	if diff := cmp.Diff(goldenMeta(t), r.section("metrics.nodes").Meta, butTimes()); diff != "" {
		t.Errorf("with unknown fields it is read as (-want +got):\n%s", diff)
	}
	info, err := r.reader.Cluster(t.Context(), cluster)
	if err != nil || len(info.Sections) != 2 {
		t.Errorf("with unknown fields there are the sections %v, %v", info.Sections, err)
	}
	without := map[key.SectionField]func(*snapshot.SectionMeta){
		key.FieldAt:         func(m *snapshot.SectionMeta) { m.At, m.Age = time.Time{}, 0 },
		key.FieldSeq:        func(m *snapshot.SectionMeta) { m.Seq = 0 },
		key.FieldError:      func(m *snapshot.SectionMeta) { m.Error, m.Stale = "", false },
		key.FieldTook:       func(m *snapshot.SectionMeta) { m.Took = 0 },
		key.FieldBytes:      func(m *snapshot.SectionMeta) { m.Bytes = 0 },
		key.FieldHash:       func(m *snapshot.SectionMeta) { m.Hash = "" }, // as a value of an unknown content
		key.FieldWindow:     func(m *snapshot.SectionMeta) { m.Window = 0 },
		key.FieldCodec:      func(m *snapshot.SectionMeta) { m.Codec = "" },                  // plain
		key.FieldInterval:   func(m *snapshot.SectionMeta) { m.Interval = 10 * time.Second }, // the publisher's
		key.FieldStatements: func(m *snapshot.SectionMeta) { m.Reads.Statements = 0 },
		key.FieldRowsRead:   func(m *snapshot.SectionMeta) { m.Reads.Rows = 0 },
		key.FieldBytesRead:  func(m *snapshot.SectionMeta) { m.Reads.Bytes = 0 },
	}
	for _, field := range key.SectionFields() {
		change, known := without[field]
		name := key.Field("metrics.nodes", field)
		if _, there := fields[name]; !known || !there {
			t.Errorf("say here what a section without %q means (in the golden file: %v)", field, there)
			continue
		}
		r.restore(newest)
		want := r.metaInfo()
		change(&want)
		r.do(r.admin.HDel(t.Context(), cluster.Meta(), name))
		if diff := cmp.Diff(want, r.metaInfo(), cmpopts.IgnoreFields(snapshot.SectionMeta{}, "Age")); diff != "" {
			t.Errorf("without %s it is read as (-want +got):\n%s", field, diff)
		}
	}
}

// metaInfo is what a master reads of the section without its value.
func (r *rig) metaInfo() snapshot.SectionMeta {
	r.t.Helper()
	info, err := r.reader.Cluster(r.t.Context(), cluster)
	if err != nil {
		r.t.Fatal(err)
	}
	return info.Sections[model.SectionMetricsNodes]
}
