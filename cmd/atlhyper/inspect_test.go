package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
)

// runInspect runs a sub-command as main does.
func runInspect(ctx context.Context, t *testing.T, args ...string) (out, notes string, err error) {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, options()...)
	if err != nil {
		t.Fatal(err)
	}
	kctx, err := parser.Parse(append([]string{"inspect"}, args...))
	if err != nil {
		return "", "", err
	}
	var stdout, stderr bytes.Buffer
	kctx.BindTo(ctx, (*context.Context)(nil))
	kctx.Bind(streams{out: &stdout, notes: &stderr})
	err = kctx.Run()
	return stdout.String(), stderr.String(), err
}

// inspected is a Redis with the cluster east in it.
type inspected struct {
	t       *testing.T
	server  *redistest.Server
	admin   *redis.Client
	clients *conn.Clients
	writer  *snapshot.Writer
}

const east = key.Cluster("east")

func newInspected(t *testing.T) *inspected {
	t.Helper()
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	writer, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: east, Instance: "a1", Version: "v1.2.3", Interval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return &inspected{t: t, server: server, admin: server.Client(t), clients: clients, writer: writer}
}

func (r *inspected) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *inspected) beat() {
	r.t.Helper()
	r.must(r.writer.Beat(r.t.Context(), snapshot.Beat{Slots: 16, Busy: 3, Version: "v1.2.3", StartedAt: time.Now()}))
}

// now is Redis's clock.
func (r *inspected) now() time.Time {
	r.t.Helper()
	at, err := r.admin.Time(r.t.Context()).Result()
	r.must(err)
	return at
}

// alive asks while the agent's beat counts: again on a machine so busy that it was too
// old in the end. It returns times on Redis's clock from before and after.
func (r *inspected) alive(ask func()) (before, after time.Time) {
	r.t.Helper()
	redistest.Eventually(r.t, "answers come within the life of a beat", func() bool {
		r.beat()
		before = r.now()
		ask()
		after = r.now()
		return after.Sub(before) < key.BeatExpiry-clockError
	})
	return before, after
}

// clockError is how far a measurement of Redis's clock may be off on a machine that is
// busy.
const clockError = time.Second

// publish beats and publishes.
func (r *inspected) publish(updates ...snapshot.Update) {
	r.t.Helper()
	r.beat()
	_, err := r.writer.Publish(r.t.Context(), updates)
	r.must(err)
}

func (r *inspected) run(args ...string) (out, notes string, err error) {
	r.t.Helper()
	return runInspect(r.t.Context(), r.t, append(args, "--redis", r.server.URL())...)
}

// answer runs a sub-command with --output json and reads what it says into v.
func (r *inspected) answer(v any, args ...string) {
	r.t.Helper()
	out, _, err := r.run(append(args, "--output", "json")...)
	r.must(err)
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	r.must(decoder.Decode(v))
	if decoder.More() {
		r.t.Errorf("%v printed more than one document:\n%s", args, out)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parseJSON(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// A value is what Redis holds, plain or compressed, whatever names in it try.
func TestInspectSection(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	value := map[string]any{
		"name": "hostile \x1b]0;title\a \u009b2J \u202e", "count": 5, "share": 0.25, "list": []any{"a", true},
		"long": strings.Repeat("long ", 20_000),
	}
	data := encode(t, value)
	r.publish(
		snapshot.Update{Name: "plain", Data: data, At: time.Now(), CompressAbove: -1},
		snapshot.Update{Name: "packed", Data: data, At: time.Now(), CompressAbove: 1},
	)

	said, err := r.admin.Eval(t.Context(), "return cjson.encode(cmsgpack.unpack(redis.call('HGET', KEYS[1], 'plain')))", []string{east.Snapshot()}).Text()
	r.must(err)
	want := parseJSON(t, said)
	stored, err := r.admin.HGet(t.Context(), east.Snapshot(), "packed").Bytes()
	r.must(err)
	unpacker, err := zstd.NewReader(nil)
	r.must(err)
	defer unpacker.Close()
	if plain, err := unpacker.DecodeAll(stored, nil); err != nil || !bytes.Equal(plain, data) {
		t.Fatalf("what lies in Redis is not the value as zstd: %v", err)
	}
	for _, args := range [][]string{
		{"section", "-c", "east", "plain"}, {"section", "-c", "east", "packed"}, {"section", "--cluster", "east", "packed", "--output", "json"},
	} {
		out, notes, err := r.run(args...)
		if err != nil || notes != "" {
			t.Fatalf("%v: %v, %s", args, err, notes)
		}
		if diff := cmp.Diff(want, parseJSON(t, out)); diff != "" {
			t.Errorf("%v: %s", args, diff)
		}
		if strings.ContainsAny(out, "\x1b\a\u009b\u202e") || strings.Count(out, "\n") != 1 {
			t.Errorf("%v printed control characters: %q", args, out)
		}
	}
}

// What is not there is an error that says what; what is old is said to be.
func TestInspectSectionThatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newInspected(t)
	r.publish(
		snapshot.Update{Name: "old", Data: encode(t, 1), At: time.Now().Add(-time.Hour)},
		snapshot.Update{Name: "failed", Err: "said \x1b[2J"},
	)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"-c", "west", "old"}, "no cluster west"},
		{[]string{"-c", "east", "none"}, "none of cluster east has not been collected"},
		{[]string{"-c", "east", "failed"}, `said \x1b[2J`},
		{[]string{"-c", "No {id}", "old"}, "cluster_id"},
		{[]string{"-c", "east", "old/"}, "section: may hold only"},
		{[]string{"old"}, "--cluster"},
	} {
		out, _, err := r.run(append([]string{"section"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\x1b") || out != "" {
			t.Errorf("%v: %q, %v, want an error that says %q", c.args, out, err, c.says)
		}
	}
	out, notes, err := r.run("section", "-c", "east", "old")
	if err != nil || out != "1\n" || !strings.Contains(notes, "1h") {
		t.Errorf("an old section: %q, %q, %v", out, notes, err)
	}
	r.server.Stop()
	if _, _, err := r.run("section", "-c", "east", "old"); err == nil || !strings.Contains(err.Error(), "Redis cannot be reached") {
		t.Errorf("without Redis: %v", err)
	}
	if _, _, err := r.run("section", "-c", "east", "old", "--redis", "http://x"); errors.Is(err, context.DeadlineExceeded) || err == nil {
		t.Errorf("another URL: %v", err)
	}
}
