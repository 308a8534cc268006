// Listening to GET /observe/stream as an EventSource does. k6's own http returns a
// response when it has ended, which a stream does not; so this needs the module
// k6/x/sse, which is built into the k6 of loadtest/k6/runner (make loadtest builds it).

import sse from 'k6/x/sse';
import { check, sleep } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';
import { base } from './lib.js';

export const events = new Counter('stream_events'); // data and meta, by kind
export const bytes = new Counter('stream_bytes');
export const beats = new Counter('stream_heartbeats');
export const lag = new Trend('stream_lag', true); // from collectedAt to here; same clock
export const first = new Trend('stream_first_event', true); // from the request on
export const reconnects = new Counter('stream_reconnects'); // the server ended it
export const broken = new Counter('stream_broken'); // refused, or neither side ended it
export const backwards = new Counter('stream_backwards'); // older than what was shown before
export const whole = new Rate('stream_whole'); // streams that said something of every section

// An EventSource that comes back waits as long as the server asks it to.
const retry = 2;

// listen keeps a stream open for so many seconds: when the server ends it (a master
// drains), it comes back with the id of the last event, so that it gets only what it
// missed.
export function listen(cluster, sections, lasts) {
  const names = sections.split(',');
  const shown = {}; // by section: when what is shown was collected
  const end = Date.now() + lasts * 1000;
  let last = '';
  for (let left = lasts; left > 0.5; left = (end - Date.now()) / 1000) {
    const began = Date.now();
    let count = 0;
    const headers = { 'Cache-Control': 'no-cache' };
    if (last) headers['Last-Event-ID'] = last;
    const result = sse.read(`${base}/observe/stream?cluster_id=${cluster}&sections=${sections}`, { headers, seconds: left }, (event) => {
      if (event.comment) {
        beats.add(1);
        return;
      }
      if (count === 0) first.add(Date.now() - began);
      count += 1;
      take(event, shown, cluster, count > names.length);
    });
    if (result.lastID) last = result.lastID;
    bytes.add(result.bytes);
    if (result.why === 'time') break;
    if (result.why === 'server') reconnects.add(1);
    else {
      broken.add(1);
      console.warn(`stream of ${cluster}: ${result.why} ${result.status} ${result.error} ${result.body}`);
    }
    sleep(retry);
  }
  whole.add(names.every((name) => name in shown));
}

// take counts an event; those after the first of each section (live) are news.
function take(event, shown, cluster, live) {
  let at;
  let section = event.name;
  let meta;
  let failed = false;
  try {
    const value = JSON.parse(event.data);
    if (event.name === 'error') failed = true;
    if (event.name === 'meta') section = value.section;
    meta = value.meta;
    at = meta ? Date.parse(meta.collectedAt) : NaN;
  } catch (_) {
    failed = true;
  }
  check(event, {
    'stream: an event of the cluster asked for': () => !failed && meta && (meta.clusterId === undefined || meta.clusterId === cluster) && !Number.isNaN(at),
  });
  events.add(1, { event: event.name === 'meta' || event.name === 'error' ? event.name : 'data' });
  if (failed || Number.isNaN(at)) return;
  if (shown[section] > at) backwards.add(1);
  if (live) lag.add(Date.now() - at);
  shown[section] = at;
}
