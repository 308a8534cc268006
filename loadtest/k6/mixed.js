// Everything at once: dashboards at a steady rate, investigations, operators who look
// at all clusters, and a wall of screens that listens to streams. The question is
// whether one kind of load hurts another, so each has a threshold of its own.
//
//   k6 run -e BASE=http://127.0.0.1:8080 -e SECONDS=60 loadtest/k6/mixed.js

import http from 'k6/http';
import { check, sleep } from 'k6';
import { base, clusters, common, dashboard, dashboards, details, home, load, pick, seconds } from './lib.js';
import { listen } from './stream.js';

const duration = `${seconds}s`;
const some = (n) => Math.max(1, Math.round(n * load));

export const options = {
  ...common,
  scenarios: {
    viewers: { executor: 'constant-arrival-rate', exec: 'view', rate: some(200), timeUnit: '1s', duration, preAllocatedVUs: 200, maxVUs: 300, gracefulStop: '15s' },
    investigators: { executor: 'constant-vus', exec: 'investigate', vus: some(10), duration, gracefulStop: '15s' },
    operators: { executor: 'constant-arrival-rate', exec: 'operate', rate: some(4), timeUnit: '1s', duration, preAllocatedVUs: 4, maxVUs: 20, gracefulStop: '15s' },
    screens: { executor: 'constant-vus', exec: 'watch', vus: some(50), duration, gracefulStop: '5s' },
  },
  thresholds: {
    http_req_failed: ['rate<0.0001'],
    checks: ['rate>0.9999'],
    'http_req_duration{kind:dashboard}': ['p(50)<5', 'p(95)<30', 'p(99)<100'],
    'http_req_duration{kind:detail}': ['p(50)<70', 'p(95)<250', 'p(99)<500'],
    // All 100 clusters in one answer: fleet comes from memory, clusters asks Redis.
    'http_req_duration{name:fleet}': ['p(50)<10', 'p(95)<75'],
    'http_req_duration{name:clusters}': ['p(95)<400'],
    'not_modified{kind:dashboard}': ['rate>0.1'],
    stale: ['rate<0.001'],
    dropped_iterations: ['count<10'],
    // From the moment a value was collected to the screen: the publish, its event,
    // the master's look at Redis, the balancer.
    stream_lag: ['p(50)<100', 'p(95)<1000'],
    stream_broken: ['count<1'],
  },
};

export const setup = () => clusters();

export function view(ids) {
  dashboard(home(ids), pick(dashboards).name);
}

export function investigate(ids) {
  pick(details).ask(home(ids));
  sleep(0.2 + Math.random() * 0.6);
}

export function operate(ids) {
  const name = Math.random() < 0.5 ? 'fleet' : 'clusters';
  const res = http.get(`${base}/${name}`, { headers: { 'Accept-Encoding': 'gzip' }, responseType: 'text', tags: { name, kind: 'all' } });
  check(res, {
    'all: 200': (r) => r.status === 200,
    'all: every cluster is in it': (r) => r.status === 200 && r.json('data.#') >= ids.length,
  }, { kind: 'all' });
}

export function watch(ids) {
  listen(home(ids), 'metrics.nodes,slo.services,otel.overview', seconds);
}
