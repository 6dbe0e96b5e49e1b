// `npm run -s bench -- NAME`: runs one bench. The table goes to stderr, the result is the last line of stdout, as JSON.
import { availableParallelism } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { describeError } from '../cli/errors.ts';
import { alignTable } from '../schemas/format.ts';
import { UserError } from '../schemas/errors.ts';
import { benches } from './benches.ts';
import { benchNames, type BenchName } from './benchNames.ts';
import { codeVersion, describeBenchMachine } from './machine.ts';
import { formatRatio, record } from './record.ts';
import { benchResult, type BenchResult } from './result.ts';

interface Options {
  threads: number;
  rounds: number;
  case?: string;
  record: boolean;
  shards?: number;
  address?: string;
  state?: string;
  run?: string;
  corpus?: string;
  vectors?: number;
}

const log = (line: string) => void process.stderr.write(`${line}\n`);
const list = alignTable(benchNames.map((name) => [`  ${name}`, benches[name].summary])).join('\n');

const program = new Command('bench')
  .description('Runs one bench: ours and its peers in turn, on the same machine and threads. Without a name: lists them.')
  .argument('[name]', 'the bench')
  .option('--threads <n>', 'threads of each side', count, availableParallelism())
  .option('--rounds <n>', 'rounds that count; their median stands', count, 7)
  .option('--case <text>', 'only the cases whose name contains this')
  .option('--record', 'keep the result in bench/results/ and write bench/RESULTS.md', false)
  .option('--shards <n>', 'fanout: how many (default: 16000)', count)
  .option('--address <host:port>', 'orchestration: the Temporal server that has the run (default: that of --state)')
  .option('--state <folder>', 'orchestration: the state folder of the run (default: .saeflow)')
  .option('--run <workflow id>', 'orchestration: which run (default: the newest that made something)')
  .option('--corpus <file>', 'soak: the text to read (default: the demo\'s, enough for some 4 million vectors)')
  .option('--vectors <n>', 'soak: how many (default: 20000000)', count)
  .addHelpText('after', `\nBenches:\n${list}\n\nThe Python peers are installed into the cache when first needed (SAEFLOW_PEERS_PYTHON: use this interpreter instead).`)
  .showHelpAfterError('(add --help for options)')
  .action(async (name: string | undefined, options: Options) => {
    if (name === undefined) log(`${list}\n\nnpm run -s bench -- NAME    (--help for options)`);
    else await runBench(benchNamed(name), options);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}

async function runBench(name: BenchName, { threads, rounds: asked, case: only, record: keep, ...particular }: Options): Promise<void> {
  if (keep && only !== undefined) throw new UserError('--record with --case would record a part as the whole', 'Leave one of them out.');
  const machine = describeBenchMachine();
  const rounds = benches[name].rounds ?? asked;
  log(`${name}: ${threads} threads, ${rounds === 1 ? '1 round' : `${rounds} rounds`}, ${machine}`);
  const { cases, notes, backend, files } = await benches[name].run({ threads, rounds, only, log, ...particular });
  const [headline] = cases;
  if (headline === undefined) throw new UserError(only === undefined ? `${name}: no peer runs here` : `${name} has no case with "${only}" in its name`, only === undefined ? 'See the lines above for the reasons.' : 'Run it without --case to see all names.');
  const { ours, peer, ratio, unit, peerVersion } = headline;
  const result = benchResult.parse({ bench: name, ours, peer, ratio, unit, peerVersion, machine, cases, notes });
  printTable(result);
  if (keep) {
    const command = `npm run -s bench -- ${process.argv.slice(2).join(' ')}`;
    record({ result, date: new Date().toISOString().slice(0, 10), threads, rounds, command, versions: [codeVersion(), `Node ${process.versions.node}`, backend] }, undefined, files);
    log('written: bench/results and bench/RESULTS.md');
  }
  console.log(JSON.stringify(result));
}

function printTable({ cases, notes }: BenchResult): void {
  const rows = cases.map(({ name, ours, peer, ratio, unit, goal, peerVersion, note }) => {
    const verdict = goal === undefined ? '' : `${ratio >= goal ? 'meets' : 'MISSES'} ≥ ${goal}`;
    return [note === undefined ? name : `${name} (${note})`, `${ours} ${unit}`, `${peer} ${unit}`, `× ${formatRatio(ratio)}`, verdict, peerVersion];
  });
  for (const line of alignTable([['', 'ours', 'peer', 'ratio', 'goal', 'peer is'], ...rows], [1, 2, 3])) log(line);
  for (const note of notes) log(`note: ${note}`);
}

function benchNamed(name: string): BenchName {
  const found = benchNames.find((known) => known === name);
  if (found !== undefined) return found;
  throw new UserError(`no bench is called ${JSON.stringify(name)}`, `Use one of: ${benchNames.join(', ')}.`);
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('Give a whole number above 0.');
}
