// `saeflow cost`: hours, bytes and money of a finished run; what it found in the store, and so did not spend, apart.
import { Command, InvalidArgumentError } from 'commander';
import { readManifest } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { costOf, type Cost, type Prices, type RunCost } from '../../data/cost.ts';
import { UserError } from '../../schemas/errors.ts';
import { alignTable, formatBytes } from '../../schemas/format.ts';
import { findReport } from '../reports.ts';
import { storeUri } from '../state.ts';
import { addExamples, addStoreOption } from './options.ts';

interface Options {
  gpuHour?: number;
  cpuHour?: number;
  tbMonth?: number;
  currency?: string;
  json?: boolean;
  store?: string;
}

export function costCommand(): Command {
  const command = new Command('cost')
    .description('GPU-hours, CPU-hours, bytes and money of a finished run; what it found in the store is counted apart')
    .argument('[run]', 'a name, name/hash or workflow id (default: the newest)')
    .option('--gpu-hour <price>', 'price of a GPU for an hour (default: $SAEFLOW_PRICE_GPU_HOUR)', toPrice)
    .option('--cpu-hour <price>', 'price of a processor core for an hour (default: $SAEFLOW_PRICE_CPU_HOUR)', toPrice)
    .option('--tb-month <price>', 'price of a TB (10^12 bytes) kept for a month (default: $SAEFLOW_PRICE_TB_MONTH)', toPrice)
    .option('--currency <text>', 'shown before prices (default: $SAEFLOW_CURRENCY, else nothing)')
    .option('--json', 'everything, as JSON');
  addStoreOption(command);
  addExamples(command, 'cost', 'cost demo --gpu-hour 2.50 --cpu-hour 0.04 --tb-month 23 --currency €');
  return command.action(async (run: string | undefined, { store: option, json, currency, ...given }: Options) => {
    const uri = storeUri(option);
    const store = openStore(uri);
    const { report } = await findReport(uri, run);
    const artifacts = [];
    for (const { name, key, cached } of report.stages) {
      const manifest = await readManifest(store, { stage: name, key });
      if (manifest === null) throw new UserError(`${uri}/${name}/${key} is no longer in the store, so that what it took is not known`, 'Run the same configuration again: what is missing is made anew.');
      artifacts.push({ manifest, found: cached });
    }
    const prices = pricesOf(given, process.env);
    const cost = costOf(artifacts, prices);
    if (json) console.log(JSON.stringify({ run: report.run, configHash: report.configHash, ...cost }, null, 2));
    else console.log([`run ${report.run}  (${report.configHash.slice(0, 12)})`, '', ...describe(cost, currency ?? process.env['SAEFLOW_CURRENCY'] ?? '')].join('\n'));
  });
}

/** What was given, else what the environment says. */
function pricesOf({ gpuHour, cpuHour, tbMonth }: Prices, env: NodeJS.ProcessEnv): Prices {
  const of = (given: number | undefined, name: string) => {
    const text = env[name];
    if (given !== undefined || text === undefined || text === '') return given;
    const price = Number(text);
    if (Number.isFinite(price) && price >= 0) return price;
    throw new UserError(`${name} is '${text}'`, 'Give a price, such as 2.50, or unset it.');
  };
  const prices = { gpuHour: of(gpuHour, 'SAEFLOW_PRICE_GPU_HOUR'), cpuHour: of(cpuHour, 'SAEFLOW_PRICE_CPU_HOUR'), tbMonth: of(tbMonth, 'SAEFLOW_PRICE_TB_MONTH') };
  return Object.fromEntries(Object.entries(prices).filter(([, price]) => price !== undefined));
}

function describe({ stages, made, found, prices }: RunCost, currency: string): string[] {
  const priced = Object.keys(prices).length > 0;
  const row = (name: string, result: string, { gpuHours, cpuHours, bytesRead, bytesWritten, bytesStored, money }: Cost) => [
    name,
    result,
    hours(gpuHours),
    hours(cpuHours),
    formatBytes(bytesRead),
    formatBytes(bytesWritten),
    formatBytes(bytesStored),
    ...(priced ? [amount(money.computing, currency), amount(money.storagePerMonth, currency)] : []),
  ];
  const header = ['stage', 'result', 'GPU-hours', 'CPU-hours', 'read', 'written', 'stored', ...(priced ? ['computing', 'storage a month'] : [])];
  const table = alignTable([header, ...stages.map((stage) => row(stage.stage, stage.found ? 'found in the store' : 'made', stage)), row('made by this run', '', made), row('found, not spent', '', found)], [2, 3, 4, 5, 6, 7, 8]);
  return [...table, '', priced ? `prices: ${describePrices(prices, currency)}` : 'no prices: give --gpu-hour, --cpu-hour (of a core) and --tb-month to see money'];
}

function describePrices({ gpuHour, cpuHour, tbMonth }: Prices, currency: string): string {
  const part = (price: number | undefined, of: string) => (price === undefined ? [] : [`${currency}${price} ${of}`]);
  return [...part(gpuHour, 'a GPU-hour'), ...part(cpuHour, 'a core-hour'), ...part(tbMonth, 'a TB and month')].join(', ');
}

/** Three digits of what may be seconds or years. */
function hours(value: number): string {
  return value === 0 ? '0' : value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function amount(value: number, currency: string): string {
  const text = value !== 0 && value < 1 ? value.toPrecision(2) : value.toFixed(2);
  return `${currency}${text}`;
}

function toPrice(text: string): number {
  const price = Number(text);
  if (text.trim() !== '' && Number.isFinite(price) && price >= 0) return price;
  throw new InvalidArgumentError('Give a price from 0 up, such as 2.50.');
}
