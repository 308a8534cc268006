package telemetry

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed sql/*.sql
var schema embed.FS

// CreateTables creates what clickhouseexporter v0.161 creates at its start, with
// no TTL: the tables of traces, logs and metrics, and the trace id lookup with
// the materialized view that fills it. What is there already stays as it is.
//
// An empty database means the connection's own; otherwise it is created too,
// and its name must be a plain identifier.
func CreateTables(ctx context.Context, conn driver.Conn, database string) error {
	prefix, err := databasePrefix(database)
	if err != nil {
		return err
	}
	if database != "" {
		if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+database); err != nil {
			return fmt.Errorf("create database %s: %w", database, err)
		}
	}
	logs, err := logsDDL(ctx, conn)
	if err != nil {
		return err
	}
	for _, name := range []string{
		TableTraces, TableTraceTimes, TableTraceTimes + "_mv", logs,
		TableGauge, TableSum, TableHistogram, TableExpHistogram, TableSummary,
	} {
		ddl, err := schema.ReadFile("sql/" + name + ".sql")
		if err != nil {
			return fmt.Errorf("schema of %s: %w", name, err)
		}
		if err := conn.Exec(ctx, strings.ReplaceAll(string(ddl), "{database}", prefix)); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return nil
}

// logsDDL picks the file that creates otel_logs. As the exporter does, it asks
// the version: full-text indexes are on by default from ClickHouse 26.2.
func logsDDL(ctx context.Context, conn driver.Conn) (string, error) {
	var fullText bool
	err := conn.QueryRow(ctx, `
		SELECT (toUInt32OrZero(splitByChar('.', version())[1]), toUInt32OrZero(splitByChar('.', version())[2])) >= (26, 2)`,
	).Scan(&fullText)
	if err != nil {
		return "", fmt.Errorf("version of ClickHouse: %w", err)
	}
	if fullText {
		return TableLogs, nil
	}
	return TableLogs + "_bloom", nil
}

// databasePrefix is what stands before a table name; "" means the connection's
// own database.
func databasePrefix(database string) (string, error) {
	if database == "" {
		return "", nil
	}
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`).MatchString(database) {
		return "", errors.New("database: want letters, digits and underscores, at most 64, not beginning with a digit")
	}
	return database + ".", nil
}
