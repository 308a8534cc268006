// Investigations side by side: each virtual user searches, opens what was found,
// draws series and reads logs, one after the other, with a short look at each.
// Two of three requests have parameters of their own; the third is one that others
// ask too (lib.js), of which masters run one and share the reply. One user of four
// is at the same cluster, as in an incident.
//
//   k6 run -e BASE=http://127.0.0.1:8080 -e SECONDS=60 loadtest/k6/details.js

import { sleep } from 'k6';
import { clusters, common, details, home, load, pick, seconds } from './lib.js';

const users = Math.max(1, Math.round(40 * load));

export const options = {
  ...common,
  scenarios: {
    details: {
      executor: 'ramping-vus',
      startVUs: 1,
      stages: [
        { duration: `${Math.round(seconds * 0.2)}s`, target: users },
        { duration: `${Math.round(seconds * 0.8)}s`, target: users },
      ],
      gracefulRampDown: '5s',
      gracefulStop: '15s',
    },
  },
  thresholds: {
    http_req_failed: ['rate<0.0001'],
    checks: ['rate>0.9999'],
    // The simulated queries take 20 ms and, on average, 20 ms more with a long tail
    // (p99 is near 115 ms); the rest is ours: command, queue, reply, HTTP.
    'http_req_duration{kind:detail}': ['p(50)<60', 'p(95)<200', 'p(99)<400'],
    // Equal requests share a reply where they meet within its seconds.
    shared: ['rate>0.01'],
  },
};

export const setup = () => clusters();

export default function (ids) {
  const cluster = __VU % 4 === 0 ? ids[0] : home(ids);
  pick(details).ask(cluster);
  sleep(0.1 + Math.random() * 0.2);
}
