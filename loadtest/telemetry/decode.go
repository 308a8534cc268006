package telemetry

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
	"github.com/klauspost/compress/zstd"
)

//go:embed fixtures/*.native.zst
var fixtures embed.FS

// nativeRevision is the protocol revision of a file in FORMAT Native: no block
// header, no custom serialization.
const nativeRevision = 0

// readerSize is the buffer of chproto.NewReader, in bytes.
const readerSize = 128 << 10

// loadTable decodes the captured rows of one table, in the order of the file.
func loadTable[R any](t tableOf[R], in interner) (rows []R, err error) {
	file, err := fixtures.Open("fixtures/" + t.name + ".native.zst")
	if err != nil {
		return nil, fmt.Errorf("captured rows of %s: %w", t.name, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	plain, err := zstd.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("captured rows of %s: %w", t.name, err)
	}
	defer plain.Close()
	rows, err = decodeNative(t, plain, in)
	if err != nil {
		return nil, fmt.Errorf("captured rows of %s: %w", t.name, err)
	}
	return rows, nil
}

// decodeNative reads blocks of ClickHouse's Native format until the input ends
// at a block boundary. Every column of the table must be there, under its name.
func decodeNative[R any](t tableOf[R], r io.Reader, in interner) ([]R, error) {
	var rows []R
	// Decode answers io.EOF for an input that ends early as well, so the end
	// between two blocks is found by looking ahead.
	buffered := bufio.NewReaderSize(r, readerSize)
	reader := chproto.NewReader(buffered) // takes a buffer of this size as it is
	for {
		if _, err := buffered.Peek(1); errors.Is(err, io.EOF) {
			return rows, nil
		}
		block := proto.NewBlock()
		if err := block.Decode(reader, nativeRevision); err != nil {
			return nil, fmt.Errorf("block after row %d: %w", len(rows), err)
		}
		from := len(rows)
		rows = slices.Grow(rows, block.Rows())[:from+block.Rows()]
		for i := range block.Rows() {
			if err := scanRow(block, i, t.wire(&rows[from+i]), in); err != nil {
				return nil, fmt.Errorf("row %d: %w", from+i, err)
			}
		}
	}
}

// scanRow copies row i of a block into a wire.
func scanRow(block *proto.Block, i int, w wire, in interner) error {
	fields, names := w.fields(), block.ColumnsNames()
	if len(fields) != len(names) {
		return fmt.Errorf("%d columns, want %d", len(names), len(fields))
	}
	for c, f := range fields {
		if names[c] != f.column {
			return fmt.Errorf("column %d is %q, want %q", c, names[c], f.column)
		}
		if err := scanField(block, c, i, f.ptr, in); err != nil {
			return fmt.Errorf("column %s: %w", f.column, err)
		}
	}
	return w.unpack()
}

// scanField copies one cell and normalises what the driver leaves open: times
// become UTC, equal maps become one map.
func scanField(block *proto.Block, c, i int, ptr any, in interner) error {
	switch p := ptr.(type) {
	case *Attributes:
		*p = Attributes{}
		if err := block.Columns[c].ScanRow(p, i); err != nil {
			return err
		}
		*p = in.intern(*p)
	case *[]Attributes:
		var plain []map[string]string
		if err := block.Columns[c].ScanRow(&plain, i); err != nil {
			return err
		}
		for _, m := range plain {
			*p = append(*p, in.intern(m))
		}
	case *time.Time:
		if err := block.Columns[c].ScanRow(p, i); err != nil {
			return err
		}
		*p = p.UTC()
	default:
		return block.Columns[c].ScanRow(ptr, i)
	}
	return nil
}

// interner keeps one copy of each distinct map: the rows of a series differ
// only in time and value, and a capture has a hundred thousand rows.
type interner map[string]Attributes

func (in interner) intern(a Attributes) Attributes {
	key := a.key()
	if known, ok := in[key]; ok {
		return known
	}
	in[key] = a
	return a
}

// key is equal for equal attributes and for them alone.
func (a Attributes) key() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(a)) {
		b.WriteString(k)
		b.WriteByte(0)
		b.WriteString(a[k])
		b.WriteByte(0)
	}
	return b.String()
}
