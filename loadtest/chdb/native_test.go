//go:build linux || darwin

package chdb

import (
	"bytes"
	"testing"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// block encodes a block as a peer of some revision does.
func block(t *testing.T, revision uint64, rows int) []byte {
	t.Helper()
	b := proto.NewBlock()
	for name, kind := range map[string]column.Type{
		"a": "UInt64", "b": "LowCardinality(String)", "c": "Map(String, Array(Nullable(Float64)))", "d": "String",
	} {
		if err := b.AddColumn(name, kind); err != nil {
			t.Fatal(err)
		}
	}
	values := map[string]any{"a": uint64(1), "b": "x", "c": map[string][]*float64{"k": {nil}}, "d": "long enough"}
	for range rows {
		for _, c := range b.Columns {
			if err := c.AppendRow(values[c.Name()]); err != nil {
				t.Fatal(err)
			}
		}
	}
	var out chproto.Buffer
	if err := b.SortColumns([]string{"a", "b", "c", "d"}); err != nil {
		t.Fatal(err)
	}
	if err := b.Encode(&out, revision); err != nil {
		t.Fatal(err)
	}
	return out.Buf
}

// Rewritten blocks are what a peer of the revision would have written itself.
func TestNativeBlocks(t *testing.T) {
	t.Parallel()
	for _, revision := range []uint64{0, 54405, 54453, 54454, 54500} {
		source := append(block(t, 0, 3), block(t, 0, 70_000)...)
		var out bytes.Buffer
		if _, err := (&nativeBlocks{revision: revision, out: &out}).Write(source); err != nil {
			t.Fatal(err)
		}
		want := append(block(t, revision, 3), block(t, revision, 70_000)...)
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("revision %d: %d bytes differ from the %d wanted", revision, out.Len(), len(want))
		}
	}
}

func TestNativeBlocksCut(t *testing.T) {
	t.Parallel()
	source := block(t, 0, 3)
	for n := 1; n < len(source); n++ {
		var out bytes.Buffer
		if _, err := (&nativeBlocks{revision: 54454, out: &out}).Write(source[:n]); err == nil {
			t.Errorf("%d of %d bytes passed", n, len(source))
		}
	}
}
