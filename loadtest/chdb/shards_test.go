//go:build linux || darwin

package chdb_test

import (
	"strings"
	"testing"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

// Two shards with different rows: a Distributed table has them all, and a
// statement that would read it on each shard is refused as on a real cluster.
func TestShards(t *testing.T) {
	t.Parallel()
	srv := chdbtest.Start(t, chdbtest.WithArgs("--shards=2"))
	db := srv.Database(t)
	for _, sql := range []string{
		"CREATE TABLE stored (id UInt8, parent UInt8) ENGINE = MergeTree ORDER BY id",
		"INSERT INTO stored SELECT number, number + 1 FROM numbers(10)",
		"CREATE VIEW shard AS SELECT * FROM stored WHERE id % 2 = shardNum() - 1",
		"CREATE TABLE spread AS stored ENGINE = Distributed('shards', currentDatabase(), 'shard')",
	} {
		if _, err := srv.Query(t.Context(), db, sql); err != nil {
			t.Fatal(err)
		}
	}
	for sql, want := range map[string]string{
		"SELECT count(), uniqExact(shardNum()) FROM spread":                                  "10\t2\n",
		"SELECT count() FROM spread WHERE id GLOBAL IN (SELECT parent FROM spread)":          "9\n",
		"SELECT engine FROM system.tables WHERE name = 'spread' AND database = '" + db + "'": "Distributed\n",
	} {
		if got, err := srv.Query(t.Context(), db, sql); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", sql, got, err, want)
		}
	}
	_, err := srv.Query(t.Context(), db, "SELECT count() FROM spread WHERE id IN (SELECT parent FROM spread)")
	if err == nil || !strings.Contains(err.Error(), "Code: 288") {
		t.Errorf("IN over two Distributed tables: %v, want code 288", err)
	}
}
