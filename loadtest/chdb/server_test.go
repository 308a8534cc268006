//go:build linux || darwin

package chdb_test

import (
	"os"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

// The body limit is low so that a test can exceed it.
var shared = &chdbtest.Shared{Options: []chdbtest.Option{chdbtest.WithArgs("--max-body=33554432")}}

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func TestClickhouseGo(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	conn := srv.Open(t, srv.Database(t))
	ctx := t.Context()
	if err := conn.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	if err := conn.Exec(ctx, "CREATE TABLE points (at DateTime64(9), name LowCardinality(String), value Float64) ENGINE = MergeTree ORDER BY at"); err != nil {
		t.Fatal(err)
	}
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO points")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := batch.Append(int64(i), []string{"even", "odd"}[i%2], float64(i)/4); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Send(); err != nil {
		t.Fatal(err)
	}
	type row struct {
		Name string  `ch:"name"`
		Sum  float64 `ch:"sum"`
	}
	var got []row
	err = conn.Select(ctx, &got, "SELECT name, sum(value) AS sum FROM points WHERE name != ? AND value >= {from:Float64} GROUP BY name ORDER BY name",
		clickhouse.Named("from", "0.25"))
	if err == nil {
		t.Error("mixed parameter kinds passed")
	}
	err = conn.Select(ctx, &got, "SELECT name, sum(value) AS sum FROM points WHERE value >= {from:Float64} GROUP BY name ORDER BY name",
		clickhouse.Named("from", "0.25"))
	if err != nil {
		t.Fatal(err)
	}
	want := []row{{"even", (2 + 4 + 6 + 8) / 4.0}, {"odd", (1 + 3 + 5 + 7 + 9) / 4.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
