// A side of a bench that does no work: writes its name to a log at every run, and can refuse to start or die on the way.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [log, name, mode] = process.argv.slice(2);
const say = (message) => console.log(JSON.stringify(message));
if (mode === 'refuses') {
  say({ type: 'failed', message: 'no compiler\nsecond line' });
} else {
  say({ type: 'ready', version: `${name} 1.0`, threads: 1 });
  let run = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const { steps } = JSON.parse(line);
    appendFileSync(log, name);
    run++;
    if (mode === 'dies' && run === 2) {
      process.stderr.write('out of luck\n', () => process.exit(3));
      break;
    }
    say({ type: 'ran', ms: steps * [10, 90, 30, 20, 1000][(run - 1) % 5], peakRssBytes: run * 1e6, rssBytes: 1e6, values: { loss: mode === 'other' && run === 3 ? 2 : 1 } });
  }
}
