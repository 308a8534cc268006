//go:build linux || darwin

package chdb

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// nativeBuffer is the read buffer of a block, in bytes; chproto.Reader takes
// a bufio.Reader of at least its own 128 KiB as it is, which lets
// nativeBlocks know how far it has read.
const nativeBuffer = 128 << 10

// nativeBlocks rewrites blocks of the Native format from revision 0, which is
// what the engine writes, to the revision a client asked for with
// client_protocol_version. The columns' bytes stay as they are; what differs
// is a block header (from revision 1) and one byte per column that says
// whether it has a custom serialization (from revision 54454). To find where
// a column ends it is decoded, so a type that clickhouse-go cannot read is an
// error here.
type nativeBlocks struct {
	revision uint64
	out      io.Writer
}

// blockInfo is the header of a block: field 1, is_overflows = 0; field 2,
// bucket_num = -1; end of fields.
const blockInfo = "\x01\x00\x02\xff\xff\xff\xff\x00"

// Write takes whole blocks, as many as there are in p.
func (n *nativeBlocks) Write(p []byte) (int, error) {
	if n.revision == 0 {
		return n.out.Write(p)
	}
	source := bytes.NewReader(p)
	buffer := bufio.NewReaderSize(source, nativeBuffer)
	reader := chproto.NewReader(buffer)
	var out bytes.Buffer
	out.Grow(len(p) + 4<<10)
	at := func() int { return len(p) - source.Len() - buffer.Buffered() }
	for at() < len(p) {
		if err := n.block(reader, &out, p, at); err != nil {
			return at(), fmt.Errorf("rewrite a block of Native for client_protocol_version=%d: %w", n.revision, err)
		}
	}
	_, err := n.out.Write(out.Bytes())
	return len(p), err
}

// block rewrites one block of p, which reader stands at.
func (n *nativeBlocks) block(reader *chproto.Reader, out *bytes.Buffer, p []byte, at func() int) error {
	columns, err := reader.UVarInt()
	if err != nil {
		return err
	}
	rows, err := reader.UVarInt()
	if err != nil {
		return err
	}
	// A value takes a byte at the least.
	if size := uint64(len(p)); columns > size || rows > size {
		return fmt.Errorf("%d columns of %d rows in %d bytes", columns, rows, size)
	}
	n.header(out, columns, rows)
	for range columns {
		if err := n.column(reader, out, p, at, int(rows)); err != nil {
			return err
		}
	}
	return nil
}

func (n *nativeBlocks) header(out *bytes.Buffer, columns, rows uint64) {
	out.WriteString(blockInfo)
	out.Write(binary.AppendUvarint(nil, columns))
	out.Write(binary.AppendUvarint(nil, rows))
}

func (n *nativeBlocks) column(reader *chproto.Reader, out *bytes.Buffer, p []byte, at func() int, rows int) error {
	start := at()
	name, err := reader.Str()
	if err != nil {
		return err
	}
	kind, err := reader.Str()
	if err != nil {
		return fmt.Errorf("column %q: %w", name, err)
	}
	out.Write(p[start:at()])
	n.serialization(out)
	start = at()
	if rows > 0 {
		col, err := column.Type(kind).Column(name, &column.ServerContext{})
		if err != nil {
			return fmt.Errorf("column %q of type %s: %w", name, kind, err)
		}
		if err := decode(col, reader, rows); err != nil {
			return fmt.Errorf("column %q of type %s: %w", name, kind, err)
		}
	}
	out.Write(p[start:at()])
	return nil
}

func (n *nativeBlocks) serialization(out *bytes.Buffer) {
	if n.revision >= proto.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION {
		out.WriteByte(0)
	}
}

func decode(col column.Interface, reader *chproto.Reader, rows int) error {
	if custom, ok := col.(column.CustomSerialization); ok {
		if err := custom.ReadStatePrefix(reader); err != nil {
			return err
		}
	}
	return col.Decode(reader, rows)
}

// emptyBlock writes a block without rows, which tells a client the columns of
// an empty answer. described is the answer to DESCRIBE in TabSeparated
// form: name, type and further fields per line.
func (n *nativeBlocks) emptyBlock(described []byte) error {
	lines := bytes.Split(bytes.TrimSuffix(described, []byte("\n")), []byte("\n"))
	var out bytes.Buffer
	if n.revision > 0 {
		n.header(&out, uint64(len(lines)), 0)
	} else {
		out.Write(binary.AppendUvarint(nil, uint64(len(lines))))
		out.WriteByte(0)
	}
	for _, line := range lines {
		fields := bytes.SplitN(line, []byte("\t"), 3)
		if len(fields) < 2 {
			return errors.New("the engine described a column without a type")
		}
		for _, field := range fields[:2] {
			text := unescapeTSV(field)
			out.Write(binary.AppendUvarint(nil, uint64(len(text))))
			out.Write(text)
		}
		n.serialization(&out)
	}
	_, err := n.out.Write(out.Bytes())
	return err
}

// unescapeTSV undoes the escapes of a field in TabSeparated.
func unescapeTSV(field []byte) []byte {
	escapes := map[byte]byte{'t': '\t', 'n': '\n', 'r': '\r', '0': 0, 'b': '\b', 'f': '\f'}
	out := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c == '\\' && i+1 < len(field) {
			i++
			c = field[i]
			if plain, ok := escapes[c]; ok {
				c = plain
			}
		}
		out = append(out, c)
	}
	return out
}
