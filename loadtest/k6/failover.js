// A master dies: half-way through, the harness (loadtest/load) kills one of three with
// SIGKILL and starts it again later. The balancer tries requests that it had not
// answered on another one; every request of this API only reads, so that is safe. By
// hand: run it, kill a master, see the same.
//
//   k6 run -e BASE=http://127.0.0.1:8080 -e SECONDS=60 loadtest/k6/failover.js

import { clusters, common, dashboard, dashboards, details, home, load, pick, seconds } from './lib.js';

const duration = `${seconds}s`;
const some = (n) => Math.max(1, Math.round(n * load));

export const options = {
  ...common,
  scenarios: {
    viewers: { executor: 'constant-arrival-rate', exec: 'view', rate: some(150), timeUnit: '1s', duration, preAllocatedVUs: 200, maxVUs: 300, gracefulStop: '35s' },
    investigators: { executor: 'constant-arrival-rate', exec: 'investigate', rate: some(20), timeUnit: '1s', duration, preAllocatedVUs: 20, maxVUs: 200, gracefulStop: '35s' },
  },
  thresholds: {
    // A response that was cut in the middle cannot be tried again: at most the few
    // that were on the wire in the moment of the kill.
    http_req_failed: ['rate<0.001'],
    'http_req_failed{kind:dashboard}': ['rate<0.001'],
    checks: ['rate>0.999'],
    // The median hardly feels it; the tail holds those that were tried twice.
    'http_req_duration{kind:dashboard}': ['p(50)<5', 'p(99)<250'],
    'http_req_duration{kind:detail}': ['p(95)<500'],
    stale: ['rate<0.001'],
    dropped_iterations: ['count<10'],
  },
};

export const setup = () => clusters();

export function view(ids) {
  dashboard(home(ids), pick(dashboards).name);
}

export function investigate(ids) {
  pick(details).ask(home(ids));
}
