//go:build linux || darwin

package chdb_test

import (
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
)

// roundTrips are values of each type as a client sends them and gets them back.
var roundTrips = []struct {
	kind   string
	values []any
}{
	{"Bool", []any{true, false}},
	{"Int8", []any{int8(math.MinInt8), int8(math.MaxInt8)}},
	{"Int64", []any{int64(math.MinInt64), int64(0), int64(math.MaxInt64)}},
	{"UInt64", []any{uint64(0), uint64(math.MaxUint64)}},
	{"Int256", []any{big.NewInt(-1), new(big.Int).Lsh(big.NewInt(1), 200)}},
	{"Float32", []any{float32(-0.5), float32(math.MaxFloat32)}},
	{"Float64", []any{0.1, math.Inf(1), math.SmallestNonzeroFloat64}},
	{"Decimal(18, 4)", []any{decimal.RequireFromString("-12345.6789"), decimal.RequireFromString("0.0001")}},
	{"String", []any{"", "héllo\x00\xff", strings.Repeat("x", 100_000), "__exception__"}},
	{"FixedString(4)", []any{"abcd", "\x00\x01\x02\x03"}},
	{"Date", []any{day(1970, 1, 1), day(2149, 6, 6)}},
	{"Date32", []any{day(1900, 1, 1), day(2299, 12, 31)}},
	{"DateTime('UTC')", []any{time.Unix(0, 0), time.Unix(math.MaxUint32, 0)}},
	{"DateTime64(9, 'UTC')", []any{time.Unix(0, 1), time.Unix(1_700_000_000, 123_456_789)}},
	{"DateTime64(3, 'Asia/Tokyo')", []any{time.UnixMilli(-1), time.UnixMilli(1_700_000_000_123)}},
	{"UUID", []any{uuid.MustParse("00112233-4455-6677-8899-aabbccddeeff")}},
	{"IPv4", []any{net.IPv4(127, 0, 0, 1).To4()}},
	{"IPv6", []any{net.IP(netip.MustParseAddr("2001:db8::1").AsSlice())}},
	{"Enum8('Unset' = 0, 'Ok' = 1, 'Error' = 2)", []any{"Ok", "Unset", "Error"}},
	{"LowCardinality(String)", []any{"a", "b", "a", ""}},
	{"LowCardinality(Nullable(String))", []any{ptr("a"), (*string)(nil), ptr("")}},
	{"Nullable(Float64)", []any{ptr(1.5), (*float64)(nil)}},
	{"Array(String)", []any{[]string{}, []string{"a", "", "c"}}},
	{"Array(Array(Int64))", []any{[][]int64{{1}, {}, {2, 3}}, [][]int64{}}},
	{"Array(LowCardinality(String))", []any{[]string{"x", "x", "y"}, []string{}}},
	{"Array(DateTime64(9, 'UTC'))", []any{[]time.Time{time.Unix(1, 2), time.Unix(3, 4)}}},
	{"Map(String, String)", []any{map[string]string{}, map[string]string{"k": "v", "": "x"}}},
	{"Map(LowCardinality(String), String)", []any{map[string]string{"service.name": "a"}, map[string]string{}}},
	{"Map(String, Array(UInt64))", []any{map[string][]uint64{"a": {1, 2}, "b": {}}}},
	{"Array(Map(LowCardinality(String), String))", []any{[]map[string]string{{"a": "1"}, {}}, []map[string]string{}}},
	{"Tuple(a UInt8, b String)", []any{map[string]any{"a": uint8(1), "b": "x"}}},
}

func day(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

func ptr[T any](v T) *T { return &v }

// sameValue compares times and numbers by what they say, not by their form.
var sameValue = cmp.Options{
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 }),
	cmp.Comparer(func(a, b decimal.Decimal) bool { return a.Equal(b) }),
}

// compressions are what clickhouse-go can ask for over HTTP.
var compressions = map[string]func(*clickhouse.Options){
	"none":    func(*clickhouse.Options) {},
	"lz4":     compression(clickhouse.CompressionLZ4),
	"zstd":    compression(clickhouse.CompressionZSTD),
	"gzip":    compression(clickhouse.CompressionGZIP),
	"deflate": compression(clickhouse.CompressionDeflate),
	"br":      compression(clickhouse.CompressionBrotli),
}

func compression(method clickhouse.CompressionMethod) func(*clickhouse.Options) {
	return func(o *clickhouse.Options) {
		o.Compression = &clickhouse.Compression{Method: method, Level: 3}
		if method != clickhouse.CompressionLZ4 && method != clickhouse.CompressionZSTD {
			o.Settings["enable_http_compression"] = 1
		}
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	for _, method := range []string{"none", "lz4", "zstd", "gzip", "deflate", "br"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			conn := srv.Open(t, srv.Database(t), compressions[method])
			for i, tt := range roundTrips {
				ctx, table := t.Context(), fmt.Sprintf("t%d", i)
				if err := conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s (n UInt64, v %s) ENGINE = MergeTree ORDER BY n", table, tt.kind)); err != nil {
					t.Fatalf("%s: %v", tt.kind, err)
				}
				batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table)
				if err != nil {
					t.Fatalf("%s: %v", tt.kind, err)
				}
				for n, v := range tt.values {
					if err := batch.Append(uint64(n), v); err != nil {
						t.Fatalf("%s: append %v: %v", tt.kind, v, err)
					}
				}
				if err := batch.Send(); err != nil {
					t.Fatalf("%s: %v", tt.kind, err)
				}
				if diff := cmp.Diff(tt.values, selectValues(t, conn, table, tt.values[0]), sameValue); diff != "" {
					t.Errorf("%s: -sent +got\n%s", tt.kind, diff)
				}
			}
		})
	}
}

// selectValues reads the column v into values of the type of sample.
func selectValues(t *testing.T, conn clickhouse.Conn, table string, sample any) []any {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT v FROM "+table+" ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for rows.Next() {
		v := reflect.New(reflect.TypeOf(sample))
		if err := rows.Scan(v.Interface()); err != nil {
			t.Fatal(err)
		}
		got = append(got, v.Elem().Interface())
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

// An answer without rows still tells its columns.
func TestEmptyResultHasColumns(t *testing.T) {
	t.Parallel()
	srv := shared.Server(t)
	for name, configure := range compressions {
		conn := srv.Open(t, "default", configure)
		for _, sql := range []string{
			"SELECT number AS n, map('a', toString(number)) AS `m\t\\\\x`, toDateTime64(0, 9, 'Asia/Tokyo') AS at FROM numbers(10) WHERE number > 10",
			"SELECT number AS n, map('a', toString(number)) AS `m\t\\\\x`, toDateTime64(0, 9, 'Asia/Tokyo') AS at FROM numbers(10) WHERE number > {limit:UInt8} SETTINGS max_threads = 1 FORMAT Native;",
		} {
			rows, err := conn.Query(t.Context(), sql, clickhouse.Named("limit", "10"))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if rows.Next() {
				t.Errorf("%s: a row", name)
			}
			if err := rows.Err(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			var kinds []string
			for _, c := range rows.ColumnTypes() {
				kinds = append(kinds, c.Name()+" "+c.DatabaseTypeName())
			}
			want := []string{"n UInt64", "m\t\\x Map(String, String)", "at DateTime64(9, 'Asia/Tokyo')"}
			if diff := cmp.Diff(want, kinds); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
