// Screens that listen: each virtual user keeps a stream of all dashboards of one
// cluster open. Half-way through, the harness (loadtest/load) tells one master to end
// (SIGTERM); it ends its streams at once, and the listeners must find another master,
// come back with Last-Event-ID and miss nothing.
//
//   k6-sse run -e BASE=http://127.0.0.1:8080 -e SECONDS=60 loadtest/k6/streams.js

import { clusters, common, home, load, seconds } from './lib.js';
import { listen } from './stream.js';

export const options = {
  ...common,
  scenarios: {
    streams: { executor: 'per-vu-iterations', vus: Math.max(1, Math.round(200 * load)), iterations: 1, maxDuration: `${seconds + 30}s` },
  },
  thresholds: {
    checks: ['rate>0.9999'],
    // A value is on the screen this soon after it was collected.
    stream_lag: ['p(50)<100', 'p(95)<1000'],
    stream_first_event: ['p(95)<1500'], // all streams open in the same second
    stream_whole: ['rate>0.999'],
    // Time does not go back, also on another master.
    stream_backwards: ['count<1'],
    // A stream is ended by its listener or by a master that says so.
    stream_broken: ['count<1'],
    stream_events: ['count>100'],
  },
};

export const setup = () => clusters();

const all = 'otel.overview,metrics.summary,metrics.nodes,traces.services,traces.topology,slo.summary,slo.ingress,slo.services,slo.edges';

export default function (ids) {
  listen(home(ids), all, seconds);
}
