package beat_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

func sample() beat.Beat {
	return beat.Beat{
		Version: "v1.2.3", Slots: 16, Busy: 3, StartedAt: time.UnixMilli(1_700_000_000_123).UTC(),
		PublishedAt: time.UnixMilli(1_700_000_010_456).UTC(), Interval: 10 * time.Second, Leads: true,
	}
}

func TestDecodeReadsWhatValueWrites(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_020_789).UTC()
	for _, leaving := range []bool{false, true} {
		want := sample()
		want.Leaving = leaving
		value, err := want.Value(at)
		if err != nil {
			t.Fatal(err)
		}
		got, gotAt, err := beat.Decode(value)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || !gotAt.Equal(at) {
			t.Errorf("at %v, want %v; (-want +got)\n%s", gotAt, at, diff)
		}
	}
}

// Go, the scripts and stock cmsgpack agree on the bytes.
func TestLuaAgrees(t *testing.T) {
	t.Parallel()
	c := redistest.Start(t).Client(t)
	b := sample()
	at := time.UnixMilli(1_700_000_020_789)
	state, body, err := b.Args()
	if err != nil {
		t.Fatal(err)
	}
	want, err := b.Value(at)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Eval(t.Context(), beat.Lua+"return beat_value(tonumber(ARGV[1]), ARGV[2], ARGV[3])", nil, at.UnixMilli(), state, body).Text()
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the script writes %q, Go %q", got, want)
	}
	version, err := c.Eval(t.Context(), "local b = cmsgpack.unpack(ARGV[1]); return b.at .. b.state .. b.beat.version", nil, want).Text()
	if err != nil || version != "1700000020789rv1.2.3" {
		t.Errorf("cmsgpack reads %q, %v", version, err)
	}

	live := func(value string, now time.Time) string {
		t.Helper()
		s, err := c.Eval(t.Context(), beat.Lua+"return beat_live(ARGV[1], tonumber(ARGV[2]), 10000)", nil, value, now.UnixMilli()).Text()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		return s
	}
	leaving := b
	leaving.Leaving = true
	leavingValue, err := leaving.Value(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, value, want string
		after             time.Duration
	}{
		{"fresh", want, "r", 0},
		{"leaving", leavingValue, "l", 0},
		{"at its expiry", want, "r", 10 * time.Second},
		{"past its expiry", want, "", 10*time.Second + time.Millisecond},
		{"from the future", want, "", -11 * time.Second},
		{"empty", "", "", 0},
		{"no digits", strings.Replace(want, "1700000020789", "0x12345678901", 1), "", 0},
		{"other shape", "\x83\xa2at" + want[5:], "", 0},
	} {
		if got := live(tt.value, at.Add(tt.after)); got != tt.want {
			t.Errorf("%s: live = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	value, err := sample().Value(time.UnixMilli(1_700_000_020_789))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add(value[:20])
	f.Add(strings.Repeat("\x93", 5000))
	f.Fuzz(func(t *testing.T, value string) {
		b, at, err := beat.Decode(value)
		if err != nil {
			return
		}
		again, err := b.Value(at)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		b2, at2, err := beat.Decode(again)
		if err != nil || !at2.Equal(at) || b2 != b {
			t.Fatalf("written and read again: %+v %v %v, want %+v %v", b2, at2, err, b, at)
		}
	})
}
