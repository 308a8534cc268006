//go:build linux || darwin

package chdb

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/libchdb"
)

// killInterval is how often a cancelled statement is killed again until it is
// gone: the first time it may not have reached system.processes yet.
const killInterval = 20 * time.Millisecond

// sessions opens one session of the engine per request, as the ClickHouse
// HTTP interface does, and bounds how many there are at once. Opening one
// takes 0.2 ms, so they are not pooled and nothing of a session (settings,
// current database, temporary tables) can leak into the next request.
type sessions struct {
	lib   *libchdb.Library
	args  []string
	slots chan struct{}
	log   *slog.Logger
	count atomic.Int64 // numbers the statements

	mu     sync.Mutex
	keeper *libchdb.Conn // guarded by mu; keeps the engine running, runs KILL QUERY
}

func newSessions(cfg Config, dataDir string) (*sessions, error) {
	lib, err := libchdb.Load(cfg.LibPath)
	if err != nil {
		return nil, err
	}
	args := engineArgs(cfg, dataDir)
	if cfg.Shards > 0 {
		file := filepath.Join(dataDir, "cluster.xml")
		if err := os.WriteFile(file, clusterConfig(cfg.Shards), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config-file="+file)
	}
	s := &sessions{lib: lib, args: args, slots: make(chan struct{}, cfg.MaxConcurrent), log: cfg.Logger}
	if s.keeper, err = lib.Connect(s.args...); err != nil {
		return nil, err
	}
	return s, nil
}

// engineArgs are the settings of the engine: small caches and pools, since it
// shares its machine with what it is there to test, and no log of its own.
func engineArgs(cfg Config, dataDir string) []string {
	return []string{
		"--path=" + dataDir,
		"--logger.level=none",
		fmt.Sprintf("--max_threads=%d", cfg.MaxThreads),
		fmt.Sprintf("--max_server_memory_usage=%d", cfg.MaxMemory),
		fmt.Sprintf("--max_memory_usage=%d", cfg.MaxMemory*3/4),
		fmt.Sprintf("--mark_cache_size=%d", 64<<20),
		fmt.Sprintf("--uncompressed_cache_size=%d", 0),
		"--background_pool_size=2",
		"--background_schedule_pool_size=4",
		"--background_common_pool_size=2",
		"--background_move_pool_size=1",
		"--background_fetches_pool_size=1",
		"--background_buffer_flush_schedule_pool_size=1",
		"--background_distributed_schedule_pool_size=1",
		"--background_message_broker_schedule_pool_size=1",
		// What an embedded engine has otherwise than a server.
		"--implicit_select=0",
		"--allow_introspection_functions=0",
	}
}

// clusterConfig makes the engine all shards of a cluster. It listens on no port;
// the one here is only by which it knows itself.
func clusterConfig(shards int) []byte {
	const shard = "<shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard>"
	return []byte("<clickhouse><tcp_port>9000</tcp_port><remote_servers><shards>" +
		strings.Repeat(shard, shards) + "</shards></remote_servers></clickhouse>")
}

// close waits for the sessions to end and stops the engine.
func (s *sessions) close() {
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keeper.Close()
}

// with runs f in a fresh session, once there is a place for it.
func (s *sessions) with(ctx context.Context, f func(context.Context, *libchdb.Conn) error) error {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.slots }()
	conn, err := s.lib.Connect(s.args...)
	if err != nil {
		return err
	}
	defer conn.Close()
	return f(ctx, conn)
}

// watch kills the statement marked with tag when ctx ends before stop is
// called. stop waits until nothing is killed any more.
func (s *sessions) watch(ctx context.Context, tag string) (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		ticker := time.NewTicker(killInterval)
		defer ticker.Stop()
		for {
			if err := s.kill(tag); err != nil {
				s.log.Warn("cannot cancel a statement", "tag", tag, "error", err)
			}
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		close(done)
		<-gone
	}
}

func (s *sessions) kill(tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keeper.Exec("KILL QUERY WHERE position(query, " + quote(tag) + ") > 0 ASYNC")
}

// prepare puts a session into the state a request asks for.
func prepare(conn *libchdb.Conn, req *request) error {
	if err := conn.Exec("USE " + quoteName(req.database)); err != nil {
		return err
	}
	if len(req.settings) == 0 {
		return nil
	}
	assignments := make([]string, len(req.settings))
	for i, s := range req.settings {
		assignments[i] = s.assign()
	}
	return conn.Exec("SET " + strings.Join(assignments, ", "))
}
