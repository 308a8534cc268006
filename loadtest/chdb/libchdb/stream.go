//go:build linux || darwin

package libchdb

import (
	"errors"
	"io"
	"runtime"
	"unsafe"
)

// Stream is the answer of a running statement, chunk by chunk. Its connection
// runs nothing else until Close.
type Stream struct {
	conn   *Conn
	handle unsafe.Pointer
	chunk  unsafe.Pointer
	done   bool
}

// Stream starts a statement with its {name:Type} placeholders bound to
// params. The error is an [*Error] when the engine refused it; a failure
// further on comes from [Stream.Next].
func (c *Conn) Stream(sql, format string, params []Param) (*Stream, error) {
	arrays := newParamArrays(params)
	names, nameLens, values, valueLens := arrays.pointers()
	handle := c.lib.stream(*c.handle, unsafe.StringData(sql), uintptr(len(sql)),
		unsafe.StringData(format), uintptr(len(format)),
		names, nameLens, values, valueLens, uintptr(len(params)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	runtime.KeepAlive(arrays)
	if handle == nil {
		return nil, errors.New("the ClickHouse engine gave no result")
	}
	if message := c.lib.resultError(handle); message != "" {
		c.lib.resultDestroy(handle)
		return nil, &Error{Message: message}
	}
	return &Stream{conn: c, handle: handle}, nil
}

// Next returns the next chunk of the answer and what was read meanwhile; the
// chunk is valid until the following call. It returns [io.EOF] after the last
// one and an [*Error] when the statement failed.
func (s *Stream) Next() ([]byte, Stats, error) {
	s.release()
	if s.done {
		return nil, Stats{}, io.EOF
	}
	lib := s.conn.lib
	chunk := lib.streamFetch(*s.conn.handle, s.handle)
	if chunk == nil {
		s.done = true
		return nil, Stats{}, errors.New("the ClickHouse engine gave no chunk")
	}
	s.chunk = chunk
	if message := lib.resultError(chunk); message != "" {
		s.done = true
		s.release()
		return nil, Stats{}, &Error{Message: message}
	}
	data, stats := lib.bytes(chunk), lib.stats(chunk)
	if len(data) == 0 {
		s.done = true
		s.release()
		return nil, stats, io.EOF
	}
	return data, stats, nil
}

// Close ends the statement, cancelling what is left of it, and frees the
// connection for the next one.
func (s *Stream) Close() {
	if s.handle == nil {
		return
	}
	s.release()
	if !s.done {
		s.conn.lib.streamCancel(*s.conn.handle, s.handle)
	}
	s.conn.lib.resultDestroy(s.handle)
	s.handle = nil
}

func (s *Stream) release() {
	if s.chunk != nil {
		s.conn.lib.resultDestroy(s.chunk)
		s.chunk = nil
	}
}

// Insert is a running INSERT that takes its rows as bytes in some format. Its
// connection runs nothing else until Close.
type Insert struct {
	conn   *Conn
	handle unsafe.Pointer
	done   bool
}

// Insert starts an INSERT statement given without a FORMAT clause and without
// rows. The error is an [*Error] when the engine refused it.
func (c *Conn) Insert(sql, format string, params []Param) (*Insert, error) {
	arrays := newParamArrays(params)
	names, nameLens, values, valueLens := arrays.pointers()
	handle := c.lib.insert(*c.handle, unsafe.StringData(sql), uintptr(len(sql)),
		unsafe.StringData(format), uintptr(len(format)),
		names, nameLens, values, valueLens, uintptr(len(params)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	runtime.KeepAlive(arrays)
	if handle == nil {
		return nil, errors.New("the ClickHouse engine gave no insert stream")
	}
	if message := c.lib.insertError(handle); message != "" {
		c.lib.insertDestroy(handle)
		return nil, &Error{Message: message}
	}
	return &Insert{conn: c, handle: handle}, nil
}

// Write hands over the next bytes, which the engine copies; it blocks while
// the engine is busy with the ones before. A failure means that the statement
// has failed already, and [Insert.Finish] says why.
func (i *Insert) Write(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	state := i.conn.lib.insertAppend(i.handle, unsafe.SliceData(data), uintptr(len(data)))
	runtime.KeepAlive(data)
	if state != 0 {
		return 0, &Error{Message: i.conn.lib.insertError(i.handle)}
	}
	return len(data), nil
}

// Finish ends the rows and waits for the engine to write them.
func (i *Insert) Finish() (Stats, error) {
	i.done = true
	lib := i.conn.lib
	result := lib.insertDone(i.handle)
	if result == nil {
		return Stats{}, errors.New("the ClickHouse engine gave no result")
	}
	defer lib.resultDestroy(result)
	if message := lib.resultError(result); message != "" {
		return Stats{}, &Error{Message: message}
	}
	return lib.stats(result), nil
}

// Close frees the connection for the next statement; an insert that was not
// finished is cancelled, and what the engine had written already stays.
func (i *Insert) Close() {
	if i.handle == nil {
		return
	}
	if !i.done {
		i.conn.lib.insertCancel(i.handle)
	}
	i.conn.lib.insertDestroy(i.handle)
	i.handle = nil
}
