package bus

import (
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
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
		cmd, err := DecodeCommand(data)
		if cmd.ID != "" && ValidateID(cmd.ID) != nil {
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

func FuzzDecodeResult(f *testing.F) {
	now := time.UnixMilli(1_700_000_000_000)
	seed(f, Reply{V: Version, ID: "a1", Agent: "x", Data: codec.Raw("\x80"), At: now.UnixMilli()})
	seed(f, Reply{V: Version, Code: fault.NotFound, At: -1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, ok := decodeResult(string(data), time.Second, now)
		if ok && (r.V != Version || r.Code != "" || !r.Shared || now.Sub(time.UnixMilli(r.At)).Abs() > time.Minute) {
			t.Fatalf("taken for a result: %+v", r)
		}
	})
}

// Whatever is announced, who waits gets a reply to the own command or goes on waiting.
func FuzzHear(f *testing.F) {
	reply, err := codec.Encode(Reply{V: Version, ID: "a1", Agent: "x", Data: codec.Raw("\x80")})
	if err != nil {
		f.Fatal(err)
	}
	channel := key.Cluster("c").Replies("m1")
	f.Add(channel, "a1 "+string(reply))
	f.Add(channel, "a1 "+string(reply[:len(reply)/2]))
	f.Add(channel, "a1")
	f.Add(channel, "b2 "+string(reply))
	f.Add(key.Cluster("d").Replies("m1"), "a1 "+string(reply))
	f.Add("atlhyper:{", " ")
	c := unconnected(f)
	f.Fuzz(func(t *testing.T, channel, announcement string) {
		a := &ask{cluster: "c", id: "a1", got: make(chan outcome, 1)}
		if err := c.fetcher.add(a); err != nil {
			t.Fatal(err)
		}
		c.fetcher.hear(t.Context(), channel, announcement)
		c.fetcher.remove(a)
		select {
		case got := <-a.got:
			cluster, ok := key.ClusterOf(channel)
			if !ok || cluster != "c" || got.reply.ID != "a1" || !strings.HasPrefix(announcement, "a1 ") {
				t.Fatalf("%q on %q delivered %+v", announcement, channel, got.reply)
			}
		case <-c.fetcher.there:
		default:
		}
		c.fetcher.takeSpent()
	})
}

// unconnected is a client without a Redis.
func unconnected(f *testing.F) *Client {
	f.Helper()
	clients := conntest.Open(f, conn.Config{URL: "redis://127.0.0.1:1"})
	c, err := NewClient(clients, ClientConfig{Replica: "m1", MaxReplyBytes: 1000})
	if err != nil {
		f.Fatal(err)
	}
	return c
}

// What a script of Redis, or what stands in its place, returns is read or refused.
func FuzzFetched(f *testing.F) {
	f.Add(int64(3), "\x81\xa1v\x01", true)
	f.Add(int64(-2), "", false)
	f.Add(int64(1<<62), "x", true)
	c := unconnected(f)
	f.Fuzz(func(t *testing.T, length int64, raw string, withReply bool) {
		answer := []any{length}
		if withReply {
			answer = append(answer, raw)
		}
		a := &ask{cluster: "c", id: "a1", got: make(chan outcome, 1)}
		if !c.fetcher.take(a, answer, false) {
			l := <-c.fetcher.large
			if l.bytes <= 0 || l.bytes > 1000 {
				t.Fatalf("%d bytes are to be fetched", l.bytes)
			}
			return
		}
		select {
		case got := <-a.got:
			if got.err == nil && got.reply.ID != "a1" {
				t.Fatalf("delivered %+v", got.reply)
			}
		default:
			if length != -2 {
				t.Fatalf("nothing is delivered of %v", answer)
			}
		}
		c.fetcher.takeSpent()
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
