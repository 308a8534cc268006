//go:build linux || darwin

// Package libchdb binds the C interface of libchdb, the ClickHouse engine as
// a shared library, without cgo.
//
// The engine is one per process and is never unloaded: it starts with the
// first connection and lives as long as one is open. A [Conn] runs one
// statement at a time; many connections run side by side.
package libchdb

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is a loaded libchdb.so. It is safe for concurrent use.
type Library struct {
	connect   func(argc int32, argv unsafe.Pointer) *unsafe.Pointer
	closeConn func(conn *unsafe.Pointer)

	query func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	stream func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	streamFetch  func(conn, stream unsafe.Pointer) unsafe.Pointer
	streamCancel func(conn, stream unsafe.Pointer)

	insert func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
		names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	insertAppend  func(insert unsafe.Pointer, data *byte, dataLen uintptr) int32
	insertDone    func(insert unsafe.Pointer) unsafe.Pointer
	insertCancel  func(insert unsafe.Pointer)
	insertError   func(insert unsafe.Pointer) string
	insertDestroy func(insert unsafe.Pointer)

	resultBuffer       func(result unsafe.Pointer) *byte
	resultLength       func(result unsafe.Pointer) uintptr
	resultError        func(result unsafe.Pointer) string
	resultRows         func(result unsafe.Pointer) uint64
	resultRowsRead     func(result unsafe.Pointer) uint64
	resultBytesRead    func(result unsafe.Pointer) uint64
	resultRowsWritten  func(result unsafe.Pointer) uint64
	resultBytesWritten func(result unsafe.Pointer) uint64
	resultDestroy      func(result unsafe.Pointer)

	setSignalHandlers func(enabled int32)

	mu      sync.Mutex
	started bool // guarded by mu: the first Connect has succeeded
}

// Load opens the library at path and resolves the functions used here. It
// fails when the file cannot be loaded or lacks one of them, which is what an
// older release does.
func Load(path string) (*Library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load the ClickHouse engine %s: %w", path, err)
	}
	lib := &Library{}
	for _, s := range []struct {
		fn   any
		name string
	}{
		{&lib.connect, "chdb_connect"},
		{&lib.closeConn, "chdb_close_conn"},
		{&lib.query, "chdb_query_with_params_n"},
		{&lib.stream, "chdb_stream_query_with_params_n"},
		{&lib.streamFetch, "chdb_stream_fetch_result"},
		{&lib.streamCancel, "chdb_stream_cancel_query"},
		{&lib.insert, "chdb_stream_insert_with_params_n"},
		{&lib.insertAppend, "chdb_stream_append"},
		{&lib.insertDone, "chdb_stream_done"},
		{&lib.insertCancel, "chdb_stream_cancel_insert"},
		{&lib.insertError, "chdb_stream_insert_error"},
		{&lib.insertDestroy, "chdb_destroy_insert_stream"},
		{&lib.resultBuffer, "chdb_result_buffer"},
		{&lib.resultLength, "chdb_result_length"},
		{&lib.resultError, "chdb_result_error"},
		{&lib.resultRows, "chdb_result_rows_read"},
		{&lib.resultRowsRead, "chdb_result_storage_rows_read"},
		{&lib.resultBytesRead, "chdb_result_storage_bytes_read"},
		{&lib.resultRowsWritten, "chdb_result_rows_written"},
		{&lib.resultBytesWritten, "chdb_result_bytes_written"},
		{&lib.resultDestroy, "chdb_destroy_query_result"},
		{&lib.setSignalHandlers, "chdb_set_signal_handlers_enabled"},
	} {
		symbol, err := purego.Dlsym(handle, s.name)
		if err != nil {
			return nil, fmt.Errorf("load the ClickHouse engine %s: %w", path, err)
		}
		purego.RegisterFunc(s.fn, symbol)
	}
	return lib, nil
}

// Connect opens a connection. The first one starts the engine, which reads
// the server settings among args ("--path=DIR" and the like); later ones may
// only differ in query settings.
func (l *Library) Connect(args ...string) (*Conn, error) {
	l.mu.Lock()
	if l.started {
		l.mu.Unlock()
		return l.open(args)
	}
	defer l.mu.Unlock()
	handlers, err := saveSignalHandlers()
	if err != nil {
		return nil, err
	}
	l.setSignalHandlers(0)
	conn, err := l.open(args)
	if err := errors.Join(err, handlers.restore()); err != nil {
		return nil, err
	}
	l.started = true
	return conn, nil
}

func (l *Library) open(args []string) (*Conn, error) {
	argv := make([]*byte, 0, len(args)+2)
	argv = append(argv, cString("clickhouse"))
	for _, arg := range args {
		argv = append(argv, cString(arg))
	}
	argc := int32(len(argv)) //nolint:gosec // a handful of flags
	argv = append(argv, nil)
	handle := l.connect(argc, unsafe.Pointer(&argv[0]))
	runtime.KeepAlive(argv)
	if handle == nil || *handle == nil {
		return nil, errors.New("the ClickHouse engine refused the connection; its reason is on stderr")
	}
	return &Conn{lib: l, handle: handle}, nil
}

// cString copies s and ends it with a NUL byte.
func cString(s string) *byte {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return &b[0]
}
