// People who look at dashboards: requests arrive at a rate that climbs to its peak,
// stays there and falls again, whatever the answers take (an open model: a slow
// server gets no mercy). 97 of 100 are dashboards, the others open a detail, so that
// all 14 endpoints and the overview take part in a realistic mix (lib.js).
//
//   k6 run -e BASE=http://127.0.0.1:8080 -e SECONDS=60 loadtest/k6/dashboards.js

import { clusters, common, dashboard, dashboards, details, home, load, pick, seconds } from './lib.js';

const peak = Math.max(1, Math.round(400 * load)); // requests per second

export const options = {
  ...common,
  scenarios: {
    dashboards: {
      executor: 'ramping-arrival-rate',
      startRate: Math.ceil(peak / 10),
      timeUnit: '1s',
      preAllocatedVUs: 250,
      maxVUs: 300,
      stages: [
        { duration: `${Math.round(seconds * 0.4)}s`, target: peak },
        { duration: `${Math.round(seconds * 0.5)}s`, target: peak },
        { duration: `${Math.round(seconds * 0.1)}s`, target: Math.ceil(peak / 10) },
      ],
      gracefulStop: '15s',
    },
  },
  thresholds: {
    // Nothing fails on a machine where nothing breaks.
    http_req_failed: ['rate<0.0001'],
    checks: ['rate>0.9999'],
    // A dashboard comes from the memory of a master. What is allowed here is for the
    // balancer and for k6, which measures on the cores that it shares with them.
    'http_req_duration{kind:dashboard}': ['p(50)<5', 'p(95)<25', 'p(99)<75'],
    // A detail is a round trip through Redis and 20 ms and more in the query.
    'http_req_duration{kind:detail}': ['p(95)<250'],
    // Agents publish every 10 s; browsers ask more often than that.
    'not_modified{kind:dashboard}': ['rate>0.1'],
    stale: ['rate<0.001'],
    // Arrivals for which no virtual user was free: the servers were too slow.
    dropped_iterations: ['count<10'],
  },
};

export const setup = () => clusters();

export default function (ids) {
  const cluster = home(ids);
  if (Math.random() < 0.97) dashboard(cluster, pick(dashboards).name);
  else pick(details).ask(cluster);
}
