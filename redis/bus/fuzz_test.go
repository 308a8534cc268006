package bus

import (
	"strings"
	"testing"

	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
)

func seed(f *testing.F, v any) {
	f.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add(append(data, 0))
}

func FuzzDecodeCommand(f *testing.F) {
	seed(f, Command{V: Version, ID: "a1", Kind: "node", Params: codec.Raw("\x80"), Deadline: 1_700_000_000_000, Replica: "m1"})
	seed(f, Command{V: 2, ID: "a1"})
	f.Add([]byte(strings.Repeat("\x91", 100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := decodeCommand(data)
		if cmd.ID != "" && validateID(cmd.ID) != nil {
			t.Fatalf("a bad id came through: %q", cmd.ID)
		}
		if err != nil {
			return
		}
		if cmd.V != Version || cmd.ID == "" {
			t.Fatalf("read without an error: %+v", cmd)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	seed(f, Reply{V: Version, ID: "a1", Agent: "x", Data: codec.Raw("\x80"), TookMs: 1.5})
	seed(f, Reply{V: Version, ID: "a1", Code: fault.NotFound, Message: "no such node"})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeReply(data, "a1")
		if err != nil {
			return
		}
		if r.V != Version || r.ID != "a1" || r.Code != "" && !knownCode(r.Code) || len(r.Message) > maxMessage {
			t.Fatalf("read without an error: %+v", r)
		}
	})
}

func TestBoundedCutsAtACharacter(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"abc": "abc", "äöü": "äö", "\xff\xff": "\uFFFD", "": ""} {
		if got := bounded(in, 5); got != want {
			t.Errorf("bounded(%q, 5) = %q, want %q", in, got, want)
		}
	}
}
