// `npm run chaos`: runs of the pipeline that lose their processes, servers and disk at random moments, and must end with
// the hashes of a run that lost none. Tables go to stderr, the result is the last line of stdout, as JSON.
import { randomInt } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { toCount } from '../cli/commands/options.ts';
import { describeError, Stopped } from '../cli/errors.ts';
import { runChaos } from './chaos.ts';
import { victims, type Victim } from './plan.ts';
import { summarize, tables } from './summary.ts';

interface Options {
  runs?: number;
  kills: number;
  seed?: number;
  victims: Victim[];
  keep: boolean;
}

const killsPerRun = 10;
const seeds = 2 ** 31;
const say = (line: string) => void process.stderr.write(`${line}\n`);

const program = new Command('chaos')
  .description('Runs the pipeline while killing parts of it at random moments; every run must end with the hashes of an unbroken one.')
  .option('--kills <n>', 'kills in all', toCount, 20)
  .option('--runs <n>', `runs they are dealt to (default: one for every ${killsPerRun} kills)`, toCount)
  .option('--seed <n>', 'draws what is killed where (default: a random one, printed)', toCount)
  .option('--victims <list>', `any of ${victims.join(',')}`, toVictims, [...victims])
  .option('--keep', 'leave stores, databases and logs where they are', false)
  .showHelpAfterError('(add --help for options)')
  .action(async ({ kills, runs = Math.ceil(kills / killsPerRun), seed = randomInt(1, seeds), victims: chosen, keep }: Options) => {
    say(`chaos --seed ${seed} --kills ${kills} --runs ${runs} --victims ${chosen.join(',')}`);
    const stop = new AbortController();
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
    const result = await runChaos({ kills, runs, seed, victims: chosen, keep, say, signal: stop.signal });
    for (const line of tables(result)) say(line);
    const summary = summarize(result);
    console.log(JSON.stringify(summary));
    process.exit(summary.ok ? 0 : 1);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof Stopped) process.exit(error.exitCode);
  console.error(describeError(error));
  process.exit(1);
}

function toVictims(text: string): Victim[] {
  return text.split(',').map((name) => {
    const victim = victims.find((candidate) => candidate === name.trim());
    if (victim === undefined) throw new InvalidArgumentError(`Use any of ${victims.join(',')}.`);
    return victim;
  });
}
