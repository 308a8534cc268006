//go:build linux || darwin

package chdb

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
)

// Config says where the engine keeps its data and what it may use.
type Config struct {
	// Listen is the TCP address of the HTTP interface, host:port; port 0 picks
	// a free one. Default "127.0.0.1:0".
	Listen string
	// DataDir is the directory of the engine's tables, created when missing.
	// One process at a time may use it. Empty means a temporary one, removed
	// when Run returns.
	DataDir string
	// LibPath is the libchdb.so to load, as engine.Ensure returns it. Required.
	LibPath string
	// Database is created at the start unless it exists. Empty creates none.
	Database string
	// MaxConcurrent is how many statements run at once; further ones wait.
	// Default 8.
	MaxConcurrent int
	// MaxThreads is the max_threads of a statement that does not say another.
	// Default 2.
	MaxThreads int
	// MaxMemory bounds the engine's memory, in bytes. Default 1.5 GiB.
	MaxMemory int64
	// MaxQuerySize bounds the text of a statement without the rows of an
	// INSERT, in bytes. Default 1 MiB.
	MaxQuerySize int64
	// MaxBodySize bounds a request body, before and after decompression, in
	// bytes. Default 256 MiB.
	MaxBodySize int64
	// Shards is of how many shards the cluster "shards" is, each of them this
	// engine itself; in a Distributed table's view on a shard, shardNum() tells
	// them apart. 0 means that there is no cluster.
	Shards int
	// MaxBufferedResult bounds an answer that has to be held whole, in bytes:
	// one with wait_end_of_query=1, or in a format that has a frame around its
	// rows, such as JSON. Default 64 MiB.
	MaxBufferedResult int64
	// Logger receives the server's own messages, never those of the engine.
	// Nil discards them.
	Logger *slog.Logger
	// OnListen is called once with the address when requests are accepted. Nil
	// means nobody is told.
	OnListen func(net.Addr)
}

// withDefaults fills the fields left zero and checks the others.
func (c Config) withDefaults() (Config, error) {
	if c.LibPath == "" {
		return c, errors.New("chdb: LibPath is empty; engine.Ensure gives it")
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	for _, n := range []struct {
		name     string
		field    *int
		standard int
	}{
		{"MaxConcurrent", &c.MaxConcurrent, 8},
		{"MaxThreads", &c.MaxThreads, 2},
		{"Shards", &c.Shards, 0},
	} {
		if *n.field < 0 {
			return c, fmt.Errorf("chdb: %s is %d, want no negative number", n.name, *n.field)
		}
		if *n.field == 0 {
			*n.field = n.standard
		}
	}
	for _, n := range []struct {
		name     string
		field    *int64
		standard int64
	}{
		{"MaxMemory", &c.MaxMemory, 3 << 29},
		{"MaxQuerySize", &c.MaxQuerySize, 1 << 20},
		{"MaxBodySize", &c.MaxBodySize, 256 << 20},
		{"MaxBufferedResult", &c.MaxBufferedResult, 64 << 20},
	} {
		if *n.field < 0 {
			return c, fmt.Errorf("chdb: %s is %d, want at least 1 byte", n.name, *n.field)
		}
		if *n.field == 0 {
			*n.field = n.standard
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
