package snapshot

import (
	"strings"
	"testing"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
)

// Whatever stands in meta, it is read within bounds or refused.
func FuzzMeta(f *testing.F) {
	f.Add("schema", "1", "a.at", "1700000000000", "interval", "10000")
	f.Add("schema", "2", "a.seq", "-1", "a.window", "9007199254740993")
	f.Add("schema", "1", "a.rows_read", "-1", "a.bytes_read", "9007199254740993")
	f.Add("a.took_ms", "1e9", "a.interval_ms", "0x10", "at", "")
	clients := conntest.Open(f, conn.Config{URL: "redis://127.0.0.1:1"})
	r := NewReader(clients, ReaderConfig{})
	f.Fuzz(func(t *testing.T, f1, v1, f2, v2, f3, v3 string) {
		m := map[string]string{f1: v1, f2: v2, f3: v3}
		var info ClusterInfo
		if err := r.parseMeta(&info, m); err != nil {
			if info.Sections != nil || info.Seq != 0 {
				t.Fatalf("%v, and yet %+v", err, info)
			}
			return
		}
		for name, s := range info.Sections {
			if validateSection(name) != nil || s.Seq < 0 || s.Age < 0 || s.Interval < 0 || s.Window < 0 || s.Took < 0 || s.Bytes < 0 ||
				s.Reads.Statements < 0 || s.Reads.Rows < 0 || s.Reads.Bytes < 0 {
				t.Fatalf("%s: %+v", name, s)
			}
		}
		if schema := m[key.MetaSchema]; schema != "" && schema != key.SchemaVersion {
			t.Fatalf("layout %q was read", schema)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	var c compressor
	packed, _, err := c.pack([]byte(strings.Repeat("abc", 1000)), 10)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, "zstd")
	f.Add(packed[:len(packed)/2], "zstd")
	f.Add([]byte("plain"), "")
	f.Fuzz(func(t *testing.T, stored []byte, codec string) {
		u := unpacker{max: 10_000}
		data, err := u.unpack(stored, codec)
		if err == nil && len(data) > u.max {
			t.Fatalf("%d bytes are over the bound", len(data))
		}
	})
}
