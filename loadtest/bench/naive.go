package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Cost is what statements took and read.
type Cost struct {
	Statements int64
	Rows       int64 // read from tables
	Bytes      int64 // of them, uncompressed
	Took       time.Duration
	// Processor is the server's processor time: it says more than Took where others
	// use the machine. 0 where it is not known.
	Processor time.Duration
}

func (c Cost) plus(o Cost) Cost {
	return Cost{c.Statements + o.Statements, c.Rows + o.Rows, c.Bytes + o.Bytes, c.Took + o.Took, c.Processor + o.Processor}
}

// times is n such costs.
func (c Cost) times(n float64) Cost {
	of := func(v int64) int64 { return int64(float64(v) * n) }
	return Cost{of(c.Statements), of(c.Rows), of(c.Bytes), time.Duration(of(int64(c.Took))), time.Duration(of(int64(c.Processor)))}
}

// server is asked without a driver between, so that the naive way and the bound
// pay for nothing but the server's work.
type server struct {
	url    string // of the HTTP interface, with the database
	client *http.Client
}

// ask runs a statement, reads its answer to the end and says what it cost.
func (s server) ask(ctx context.Context, name string, v values) (Cost, error) {
	sql, err := statement(name, v)
	if err != nil {
		return Cost{}, err
	}
	began := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(sql))
	if err != nil {
		return Cost{}, fmt.Errorf("%s: %w", name, err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return Cost{}, fmt.Errorf("%s: %w", name, err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return Cost{}, fmt.Errorf("%s: %w", name, err)
	}
	if res.StatusCode != http.StatusOK {
		return Cost{}, fmt.Errorf("%s: %.500s", name, body)
	}
	var summary struct {
		Rows  int64 `json:"read_rows,string"`
		Bytes int64 `json:"read_bytes,string"`
	}
	if err := json.Unmarshal([]byte(res.Header.Get("X-ClickHouse-Summary")), &summary); err != nil {
		return Cost{}, fmt.Errorf("%s: summary: %w", name, err)
	}
	return Cost{Statements: 1, Rows: summary.Rows, Bytes: summary.Bytes, Took: time.Since(began)}, nil
}

// window is the time that rates are taken over.
type window struct{ from, until time.Time }

func (w window) values() values { return values{"from": w.from.Unix(), "until": w.until.Unix()} }

// panel is what the naive way asks of each node in a statement of its own.
type panel struct {
	statement string // gauge_panel or sum_panel
	metrics   []string
}

// panels are those of a node's page: 32 statements for each node.
func panels() []panel {
	gauge := func(metrics ...string) panel { return panel{"gauge_panel", metrics} }
	sum := func(metrics ...string) panel { return panel{"sum_panel", metrics} }
	return []panel{
		sum("node_cpu_seconds_total"),
		gauge("node_cpu_scaling_frequency_hertz"),
		gauge("node_load1", "node_load5", "node_load15"),
		gauge("node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"),
		gauge("node_memory_MemFree_bytes", "node_memory_Buffers_bytes", "node_memory_Cached_bytes", "node_memory_Slab_bytes"),
		gauge("node_memory_SwapTotal_bytes", "node_memory_SwapFree_bytes"),
		gauge("node_filesystem_size_bytes"),
		gauge("node_filesystem_avail_bytes"),
		sum("node_disk_read_bytes_total"),
		sum("node_disk_written_bytes_total"),
		sum("node_disk_reads_completed_total"),
		sum("node_disk_writes_completed_total"),
		sum("node_disk_io_time_seconds_total"),
		sum("node_network_receive_bytes_total"),
		sum("node_network_transmit_bytes_total"),
		sum("node_network_receive_packets_total"),
		sum("node_network_transmit_packets_total"),
		sum("node_network_receive_errs_total", "node_network_transmit_errs_total"),
		sum("node_network_receive_drop_total", "node_network_transmit_drop_total"),
		gauge("node_network_up"),
		gauge("node_network_speed_bytes", "node_network_mtu_bytes"),
		gauge("node_hwmon_temp_celsius", "node_hwmon_chip_names", "node_hwmon_sensor_label", "node_thermal_zone_temp"),
		sum("node_pressure_cpu_waiting_seconds_total"),
		sum("node_pressure_memory_waiting_seconds_total", "node_pressure_memory_stalled_seconds_total"),
		sum("node_pressure_io_waiting_seconds_total", "node_pressure_io_stalled_seconds_total"),
		gauge("node_netstat_Tcp_CurrEstab", "node_sockstat_TCP_alloc", "node_sockstat_TCP_inuse", "node_sockstat_TCP_tw", "node_sockstat_sockets_used"),
		gauge("node_vmstat_pgfault", "node_vmstat_pgmajfault", "node_vmstat_pswpin", "node_vmstat_pswpout"),
		sum("node_softnet_dropped_total", "node_softnet_times_squeezed_total"),
		gauge("node_nf_conntrack_entries", "node_nf_conntrack_entries_limit"),
		gauge("node_filefd_allocated", "node_filefd_maximum", "node_entropy_available_bits"),
		gauge("node_boot_time_seconds", "node_time_seconds"),
		gauge("node_uname_info"),
	}
}

// address is that of a node, as in sql/gauge.sql.
func address(node int) string {
	return fmt.Sprintf("10.%d.%d.%d", 1+node/62500, node/250%250, node%250)
}

// naive asks every panel of so many nodes, of 0 up: one statement after the other,
// each of which has all of the server to itself.
func (s server) naive(ctx context.Context, nodes int, w window) (Cost, error) {
	var sum Cost
	for node := range nodes {
		for _, p := range panels() {
			v := w.values()
			v["metrics"], v["address"] = quoted(p.metrics), quoted([]string{address(node)})
			cost, err := s.ask(ctx, p.statement, v)
			if err != nil {
				return Cost{}, err
			}
			sum = sum.plus(cost)
		}
	}
	return sum, nil
}

// bound is two bare grouped scans, of gauges and of counters: of all rows of the
// window, or only of those of the panels' metrics.
func (s server) bound(ctx context.Context, w window, all bool) (Cost, error) {
	rows := "1"
	if !all {
		var metrics []string
		for _, p := range panels() {
			metrics = append(metrics, p.metrics...)
		}
		rows = "MetricName IN (" + quoted(metrics) + ")"
	}
	var sum Cost
	for _, table := range []string{"otel_metrics_gauge", "otel_metrics_sum"} {
		v := w.values()
		v["table"], v["rows"] = table, rows
		cost, err := s.ask(ctx, "bound", v)
		if err != nil {
			return Cost{}, err
		}
		sum = sum.plus(cost)
	}
	return sum, nil
}

// quoted is a list of SQL's strings; none of them holds a quote.
func quoted(list []string) string { return "'" + strings.Join(list, "', '") + "'" }

// databaseURL is the HTTP interface of the DSN http://host:port/database.
func databaseURL(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", fmt.Errorf("the engine's DSN: %w", err)
	}
	u.RawQuery = url.Values{"database": {strings.TrimPrefix(u.Path, "/")}}.Encode()
	u.Path = "/"
	return u.String(), nil
}
