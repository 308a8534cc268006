//go:build linux || darwin

package libchdb

import (
	"errors"
	"runtime"
	"unsafe"
)

// Param is the value of a {Name:Type} placeholder, as text in ClickHouse's
// escaped form.
type Param struct {
	Name, Value string
}

// Stats counts what a statement read from and wrote to tables.
type Stats struct {
	// ResultRows counts the rows of the answer.
	ResultRows uint64
	// ReadRows and ReadBytes count what was read from tables.
	ReadRows, ReadBytes uint64
	// WrittenRows and WrittenBytes count what was written, materialized views included.
	WrittenRows, WrittenBytes uint64
}

// Add counts the work of other on top of s.
func (s *Stats) Add(other Stats) {
	s.ResultRows += other.ResultRows
	s.ReadRows += other.ReadRows
	s.ReadBytes += other.ReadBytes
	s.WrittenRows += other.WrittenRows
	s.WrittenBytes += other.WrittenBytes
}

// Error is what the engine answered instead of a result, in its own words:
// "Code: 60. DB::Exception: ... (UNKNOWN_TABLE)".
type Error struct {
	Message string
}

func (e *Error) Error() string { return e.Message }

// Conn is one session of the engine: a current database, settings and
// temporary tables of its own. It runs one statement at a time and must not
// be used from two goroutines at once.
type Conn struct {
	lib    *Library
	handle *unsafe.Pointer
}

// Close ends the session. Closing the last one stops the engine.
func (c *Conn) Close() {
	if c.handle != nil {
		c.lib.closeConn(c.handle)
		c.handle = nil
	}
}

// Exec runs a statement whose answer does not matter. The error is an
// [*Error] when the engine refused it.
func (c *Conn) Exec(sql string) error {
	_, _, err := c.Query(sql, "Null", nil)
	return err
}

// Query runs a statement with its {name:Type} placeholders bound to params
// and returns its whole answer in a format of ClickHouse ("TabSeparated",
// "JSON", ...). Use [Conn.Stream] where the answer may be large. The error is
// an [*Error] when the engine refused the statement.
func (c *Conn) Query(sql, format string, params []Param) ([]byte, Stats, error) {
	arrays := newParamArrays(params)
	names, nameLens, values, valueLens := arrays.pointers()
	result := c.lib.query(*c.handle, unsafe.StringData(sql), uintptr(len(sql)),
		unsafe.StringData(format), uintptr(len(format)),
		names, nameLens, values, valueLens, uintptr(len(params)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	runtime.KeepAlive(arrays)
	if result == nil {
		return nil, Stats{}, errors.New("the ClickHouse engine gave no result")
	}
	defer c.lib.resultDestroy(result)
	if message := c.lib.resultError(result); message != "" {
		return nil, Stats{}, &Error{Message: message}
	}
	return append([]byte(nil), c.lib.bytes(result)...), c.lib.stats(result), nil
}

// bytes is the content of a result; it is valid until the result is destroyed.
func (l *Library) bytes(result unsafe.Pointer) []byte {
	n := l.resultLength(result)
	buffer := l.resultBuffer(result)
	if n == 0 || buffer == nil {
		return nil
	}
	return unsafe.Slice(buffer, n)
}

func (l *Library) stats(result unsafe.Pointer) Stats {
	return Stats{
		ResultRows:   l.resultRows(result),
		ReadRows:     l.resultRowsRead(result),
		ReadBytes:    l.resultBytesRead(result),
		WrittenRows:  l.resultRowsWritten(result),
		WrittenBytes: l.resultBytesWritten(result),
	}
}

// paramArrays is a list of parameters in the form of the C interface: arrays
// of pointers and of lengths.
type paramArrays struct {
	names, values       []*byte
	nameLens, valueLens []uintptr
}

func newParamArrays(params []Param) *paramArrays {
	a := &paramArrays{}
	for _, p := range params {
		a.names = append(a.names, cString(p.Name))
		a.nameLens = append(a.nameLens, uintptr(len(p.Name)))
		a.values = append(a.values, cString(p.Value))
		a.valueLens = append(a.valueLens, uintptr(len(p.Value)))
	}
	return a
}

func (a *paramArrays) pointers() (names, nameLens, values, valueLens unsafe.Pointer) {
	return unsafe.Pointer(unsafe.SliceData(a.names)), unsafe.Pointer(unsafe.SliceData(a.nameLens)),
		unsafe.Pointer(unsafe.SliceData(a.values)), unsafe.Pointer(unsafe.SliceData(a.valueLens))
}
