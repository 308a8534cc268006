package envelope_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/shared/codec"
)

// Both ways of building a body write the same text for the same data.
func TestBothWaysAgree(t *testing.T) {
	t.Parallel()
	value := map[string]any{"a": []int{1, 2}, "b": "<é> & \u2028 \" \\ \n", "c": 0.1, "d": nil, "e": map[string]int{}}
	meta := envelope.Meta{ClusterID: "a", CollectedAt: "2026-03-01T12:00:00Z", WindowSeconds: 900, Seq: 7, Stale: true, Error: "<why>"}
	data, err := codec.Encode(value)
	if err != nil {
		t.Fatal(err)
	}
	streamed, err := envelope.FromMsgpack(data, meta)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := envelope.FromValue(value, meta)
	if err != nil {
		t.Fatal(err)
	}
	if string(streamed) != string(encoded) {
		t.Errorf("streamed %s\nencoded  %s", streamed, encoded)
	}
	wantMeta := `,"meta":{"clusterId":"a","collectedAt":"2026-03-01T12:00:00Z","windowSeconds":900,"seq":7,"stale":true,"error":"<why>"}}` + "\n"
	if !strings.HasPrefix(string(streamed), `{"message":"ok","data":{"a":[1,2]`) || !strings.HasSuffix(string(streamed), wantMeta) {
		t.Errorf("body %s", streamed)
	}
}

func TestDetailMeta(t *testing.T) {
	t.Parallel()
	body, err := envelope.FromValue(nil, envelope.Meta{Detail: &envelope.Detail{Agent: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"message":"ok","data":null,"meta":{"collectedAt":"","windowSeconds":0,"stale":false,"tookMs":0,"agent":"x"}}` + "\n"
	if string(body) != want {
		t.Errorf("got  %swant %s", body, want)
	}
}

func TestWhatIsNoValue(t *testing.T) {
	t.Parallel()
	if body, err := envelope.FromMsgpack([]byte{0xc1}, envelope.Meta{}); err == nil {
		t.Errorf("bytes that are no msgpack became %s", body)
	}
	if body, err := envelope.FromValue(func() {}, envelope.Meta{}); err == nil {
		t.Errorf("a function became %s", body)
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "short", strings.Repeat("x", envelope.MaxText)} {
		if got := envelope.Clip(s); got != s {
			t.Errorf("Clip changed a text of %d bytes", len(s))
		}
	}
	for _, s := range []string{strings.Repeat("é", envelope.MaxText), "x" + strings.Repeat("界", envelope.MaxText), strings.Repeat("\x80", 5000)} {
		got := envelope.Clip(s)
		if len(got) > envelope.MaxText+len("…") || utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("Clip left %d bytes, valid: %v", len(got), utf8.ValidString(got))
		}
	}
}
