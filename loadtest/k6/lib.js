// What the scripts share: who is asked, the mix of requests, how an answer is
// checked and counted.
//
// Settings, with -e NAME=value:
//   BASE      the masters or their balancer          (http://127.0.0.1:8080)
//   SECONDS   how long the load lasts                (60)
//   LOAD      factor on all rates and stream counts  (1; the rates suit 2 cores
//             that also run everything else)
//
// A virtual user is one browser: it looks at one cluster, remembers the ETag of each
// URL and asks with If-None-Match, accepts gzip and keeps its connection. So 304s are
// as frequent as they are for people whose dashboards refresh faster than data change.

import http from 'k6/http';
import { check, fail } from 'k6';
import { Counter, Rate } from 'k6/metrics';

export const base = (__ENV.BASE || 'http://127.0.0.1:8080') + '/api/v2';
export const seconds = Number(__ENV.SECONDS || 60);
export const load = Number(__ENV.LOAD || 1);

// What all scripts want of k6: tags without the URL, which is another one for each
// request, and the statistics that the report shows.
export const common = {
  systemTags: ['scenario', 'name', 'method', 'status', 'expected_response', 'error_code', 'check'],
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)', 'max', 'count'],
};

// The dashboards of a cluster. Of 100 requests for dashboards each gets its share:
// the landing page polls overview and the summaries, the lists are opened from it.
export const dashboards = [
  { name: 'overview', share: 18 },
  { name: 'metrics/summary', share: 14 },
  { name: 'metrics/nodes', share: 16 },
  { name: 'traces/services', share: 14 },
  { name: 'traces/topology', share: 10 },
  { name: 'slo/summary', share: 10 },
  { name: 'slo/ingress', share: 8 },
  { name: 'slo/services', share: 6 },
  { name: 'slo/edges', share: 4 },
];

// The details, which run a query on the cluster's agent.
export const details = [
  { name: 'traces', share: 30, ask: searchTraces },
  { name: 'traces/{id}', share: 20, ask: openTrace },
  { name: 'logs/query', share: 20, ask: queryLogs },
  { name: 'metrics/nodes/{name}/series', share: 14, ask: nodeSeries },
  { name: 'slo/timeseries', share: 10, ask: sloSeries },
  { name: 'metrics/nodes/{name}', share: 6, ask: node },
];

export const notModified = new Rate('not_modified'); // of dashboards: 304 instead of a body
export const stale = new Rate('stale'); // of the bodies that were looked into
export const shared = new Rate('shared'); // of details: the reply to an equal request
const refusals = new Counter('refusals'); // by endpoint and code of the API

// pick takes a line of a table, as often as its share says.
export function pick(table) {
  let left = Math.random() * table.reduce((sum, line) => sum + line.share, 0);
  return table.find((line) => (left -= line.share) < 0) || table[0];
}

// clusters is for setup(): the ids of all clusters that are online.
export function clusters() {
  const res = http.get(`${base}/clusters`, { tags: { name: 'setup' } });
  const ids = res.status === 200 ? res.json('data').filter((c) => c.status === 'online').map((c) => c.id) : [];
  if (ids.length === 0) fail(`no cluster is online at ${base}: status ${res.status} ${res.body}`);
  return ids;
}

// What this virtual user knows: k6 runs this file once for each of them.
const seen = { cluster: '', etags: {}, nodes: [], services: [], traces: [] };

// home is the cluster this user looks at; one time of 200 it goes to another one.
export function home(ids) {
  if (seen.cluster === '' || Math.random() < 0.005) {
    Object.assign(seen, { cluster: ids[(__VU * 7919 + __ITER) % ids.length], etags: {}, nodes: [], services: [], traces: [] });
  }
  return seen.cluster;
}

// dashboard asks for a section; one body of 16 is parsed and checked, the others
// are read and dropped.
export function dashboard(cluster, name) {
  const url = `${base}/observe/${name}?cluster_id=${cluster}`;
  const etag = seen.etags[url];
  const look = Math.random() < 1 / 16;
  const headers = { 'Accept-Encoding': 'gzip' };
  if (etag) headers['If-None-Match'] = etag;
  const res = http.get(url, { headers, responseType: look ? 'text' : 'none', tags: { name, kind: 'dashboard' } });
  notModified.add(res.status === 304, { kind: 'dashboard' });
  if (res.status === 200) seen.etags[url] = res.headers['Etag'];
  check(res, {
    'dashboard: 200 or 304': (r) => r.status === 200 || r.status === 304,
    'dashboard: 304 only for the ETag that was sent': (r) => r.status !== 304 || (etag && r.headers['Etag'] === etag),
    'dashboard: 200 only for another one': (r) => r.status !== 200 || (r.headers['Etag'] && r.headers['Etag'] !== etag),
  }, { kind: 'dashboard' });
  if (look && res.status === 200) body(res, cluster, 'dashboard');
  refused(res, name, look);
  return res;
}

// body checks that a body is whole and of the cluster that was asked for.
function body(res, cluster, kind) {
  let answer = {};
  try { answer = res.json(); } catch (_) { /* the check fails */ }
  check(answer, {
    [`${kind}: data of the cluster asked for`]: (a) => a.message === 'ok' && a.data !== undefined && a.meta && a.meta.clusterId === cluster,
  }, { kind });
  if (answer.meta) stale.add(answer.meta.stale === true);
  return answer;
}

function refused(res, name, read) {
  if (res.status === 200 || res.status === 304) return;
  let code = `${res.error_code || res.status}`;
  try { if (read) code = res.json('code') || code; } catch (_) { /* not of the API: the balancer's own page */ }
  refusals.add(1, { name, code });
}

// detail sends a request that the cluster's agent answers.
function detail(cluster, name, method, path, payload) {
  const headers = { 'Accept-Encoding': 'gzip', 'Content-Type': 'application/json' };
  const res = http.request(method, `${base}/observe/${path}`, payload ? JSON.stringify(payload) : null,
    { headers, responseType: 'text', tags: { name, kind: 'detail' } });
  check(res, { 'detail: 200': (r) => r.status === 200 }, { kind: 'detail' });
  refused(res, name, true);
  if (res.status !== 200) return {};
  const answer = body(res, cluster, 'detail');
  shared.add(!!(answer.meta && answer.meta.shared));
  return answer;
}

// One request of three is what many ask in the same moment (the default search, the
// newest half hour); the others are like no other.
export const identical = 1 / 3;
const alike = () => Math.random() < identical;

// names learns a cluster's nodes and services, as the list page that comes before a
// detail page does.
function names(cluster, from, field) {
  if (seen[from].length === 0) {
    const path = from === 'nodes' ? 'metrics/nodes' : 'traces/services';
    const res = http.get(`${base}/observe/${path}?cluster_id=${cluster}`,
      { headers: { 'Accept-Encoding': 'gzip' }, responseType: 'text', tags: { name: path, kind: 'dashboard' } });
    if (res.status === 200) seen[from] = res.json('data').map((row) => row[field]);
  }
  return seen[from].length ? seen[from][Math.floor(Math.random() * seen[from].length)] : 'none';
}

// range is a time range of some minutes that ended up to six hours ago.
function range() {
  const end = Math.floor(Date.now() / 1000) - Math.floor(Math.random() * 6 * 3600);
  const time = (s) => new Date(s * 1000).toISOString().replace('.000', '');
  return { start_time: time(end - 60 * (5 + Math.floor(Math.random() * 55))), end_time: time(end) };
}

const query = (params) => Object.entries(params).map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&');

function searchTraces(cluster) {
  const params = alike() ? { time_range: '15m', limit: 50 } :
    { service: names(cluster, 'services', 'name'), min_duration: Math.floor(Math.random() * 500), limit: 20, ...range() };
  const { data } = detail(cluster, 'traces', 'GET', `traces?${query({ cluster_id: cluster, ...params })}`);
  if (data) seen.traces = data.map((t) => t.traceId);
}

function openTrace(cluster) {
  if (seen.traces.length === 0) searchTraces(cluster);
  const id = seen.traces.length ? seen.traces[alike() ? 0 : Math.floor(Math.random() * seen.traces.length)] : '0'.repeat(31) + '1';
  detail(cluster, 'traces/{id}', 'GET', `traces/${id}?cluster_id=${cluster}`);
}

function queryLogs(cluster) {
  const ask = alike() ? { since: '30m', limit: 50 } : { query: `request ${Math.floor(Math.random() * 1e9)}`, limit: 100, ...range() };
  detail(cluster, 'logs/query', 'POST', 'logs/query', { cluster_id: cluster, ...ask });
}

function nodeSeries(cluster) {
  const metric = ['cpu', 'memory', 'disk', 'network', 'load'][Math.floor(Math.random() * 5)];
  const when = alike() ? { minutes: 30 } : range();
  const name = encodeURIComponent(names(cluster, 'nodes', 'nodeName'));
  detail(cluster, 'metrics/nodes/{name}/series', 'GET', `metrics/nodes/${name}/series?${query({ cluster_id: cluster, metric, ...when })}`);
}

function sloSeries(cluster) {
  const when = alike() ? { time_range: '1h' } : range();
  detail(cluster, 'slo/timeseries', 'GET', `slo/timeseries?${query({ cluster_id: cluster, service: names(cluster, 'services', 'name'), ...when })}`);
}

function node(cluster) {
  const name = encodeURIComponent(names(cluster, 'nodes', 'nodeName'));
  detail(cluster, 'metrics/nodes/{name}', 'GET', `metrics/nodes/${name}?cluster_id=${cluster}`);
}
