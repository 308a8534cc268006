package beat_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/codec/wiretest"
)

var update = flag.Bool("update", false, "rewrite the golden files: what agents say changes for masters in the field")

// written is when the golden beats were.
func written() time.Time { return time.UnixMilli(1_700_000_020_789).UTC() }

func valueOf(t *testing.T, b beat.Beat) string {
	t.Helper()
	value, err := b.Value(written())
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func decode(t *testing.T, value string) beat.Beat {
	t.Helper()
	b, at, err := beat.Decode(value)
	if err != nil {
		t.Fatal(err)
	}
	if !at.Equal(written()) {
		t.Errorf("it was written at %s, want %s", at, written())
	}
	return b
}

// A beat of a release before is read by masters, and by the scripts of agents.
func TestGoldenBeats(t *testing.T) {
	t.Parallel()
	files := wiretest.Files{Dir: "testdata", Update: *update}
	c := redistest.Start(t).Client(t)
	for state, leaving := range map[string]bool{"running": false, "leaving": true} {
		b := sample()
		b.Leaving = leaving
		name := "beat." + state
		files.Written(t, name, []byte(valueOf(t, b)))
		for _, old := range files.All(t, name) {
			got := decode(t, string(old.Data))
			wiretest.Kept(t, old.Data, []byte(valueOf(t, got)))
			live, err := c.Eval(t.Context(), beat.Lua+"return beat_live(ARGV[1], tonumber(ARGV[2]), 4000)", nil, old.Data, written().UnixMilli()).Text()
			if err != nil || live != state[:1] {
				t.Errorf("scripts take what %s wrote of an agent that is %s for %q, %v", old.Release, state, live, err)
			}
		}
	}
}

// What another release does not say, or says besides, leaves the rest as it is.
func TestOtherReleases(t *testing.T) {
	t.Parallel()
	value := valueOf(t, sample())
	head, body, ok := strings.Cut(value, "\xa4beat")
	if !ok {
		t.Fatal("the shape of a beat is another one")
	}
	if diff := cmp.Diff(sample(), decode(t, head+"\xa4beat"+string(wiretest.With(t, []byte(body), "weather", map[string]any{"rain": true})))); diff != "" {
		t.Errorf("with an unknown field it is read as (-want +got):\n%s", diff)
	}
	without := map[string]func(*beat.Beat){
		"version":     func(b *beat.Beat) { b.Version = "" },
		"slots":       func(b *beat.Beat) { b.Slots = 0 },
		"busy":        func(b *beat.Beat) { b.Busy = 0 },
		"startedAt":   func(b *beat.Beat) { b.StartedAt = time.Time{} },
		"publishedAt": func(b *beat.Beat) { b.PublishedAt = time.Time{} },
		"interval":    func(b *beat.Beat) { b.Interval = 0 },
		"leads":       func(b *beat.Beat) { b.Leads = false },
	}
	for _, field := range wiretest.Keys(t, []byte(body)) {
		change, known := without[field]
		if !known {
			t.Errorf("say here what a beat without %q means", field)
			continue
		}
		want := sample()
		change(&want)
		got := decode(t, head+"\xa4beat"+string(wiretest.Without(t, []byte(body), field)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("without %s it is read as (-want +got):\n%s", field, diff)
		}
	}
}
