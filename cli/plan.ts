// A plan as data and as tables: the estimates of every stage, time by device, and whether the disk suffices.
import { configHash } from '../data/configHash.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import type { CorpusLook } from './corpus.ts';
import type { Device } from './devices.ts';
import { describePeak, estimateDisk, type DiskEstimate } from './diskEstimate.ts';
import { estimateSeconds, estimateStages, type StageEstimate } from './estimates.ts';
import { alignTable, formatBytes, formatCount, formatDuration, formatFlops } from '../schemas/format.ts';
import { stageTitle } from './progressLines.ts';

export interface Plan {
  run: string;
  configHash: string;
  corpus: CorpusLook;
  stages: StageEstimate[];
  totals: { flops: number; bytes: number };
  /** At once, when it is most. */
  disk: DiskEstimate;
  /** Seconds by device, in the order of `stages`. */
  devices: { name: string; reason: string; seconds: number[]; totalSeconds: number }[];
  /** Absent where the store is not a folder of this machine. */
  freeBytes?: number;
  config: PipelineConfig;
}

/** Works a run out on paper. */
export function buildPlan(config: PipelineConfig, corpus: CorpusLook, devices: readonly Device[], freeBytes?: number): Plan {
  const stages = estimateStages(config, corpus.size);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    run: config.name,
    configHash: configHash(config),
    corpus,
    stages,
    totals: { flops: sum(stages.map(({ flops }) => flops)), bytes: sum(stages.map(({ bytes }) => bytes)) },
    disk: estimateDisk(config, corpus.size),
    devices: devices.map((device) => {
      const seconds = stages.map((stage) => estimateSeconds(stage, device));
      return { name: device.name, reason: device.reason, seconds, totalSeconds: sum(seconds) };
    }),
    ...(freeBytes === undefined ? {} : { freeBytes }),
    config,
  };
}

/** The plan as lines: what, how long, and whether it fits. */
export function describePlan(plan: Plan): string[] {
  const { size, source } = plan.corpus;
  return [
    `plan of run ${plan.run} (${plan.configHash.slice(0, 12)})`,
    `corpus: ${formatBytes(size.textBytes)} of text, ${formatCount(size.trainTokens)} tokens for training, ${formatCount(size.heldOutTokens)} held out (${source})`,
    '',
    ...workTable(plan),
    '',
    ...timeTable(plan),
    '',
    'Times are floors for one device, good to a factor of two:',
    ...plan.devices.map(({ name, reason }) => `  ${name}: ${reason}`),
    '',
    ...diskLines(plan),
  ];
}

function workTable({ stages, totals }: Plan): string[] {
  const rows = stages.map((stage) => [stageTitle(stage), `${stage.pieces.toLocaleString('en')} ${stage.unit}`, `${formatCount(stage.amount)} ${stage.amountUnit}`, stage.flops === 0 ? '–' : formatFlops(stage.flops), formatBytes(stage.bytes)]);
  return alignTable([['stage', 'pieces', 'amount', 'arithmetic', 'kept'], ...rows, ['total', '', '', formatFlops(totals.flops), formatBytes(totals.bytes)]], [1, 2, 3, 4]);
}

function timeTable({ stages, devices }: Plan): string[] {
  const rows = stages.map((stage, index) => [stageTitle(stage), ...devices.map(({ seconds }) => formatDuration(seconds[index]!))]);
  const columns = devices.map((_, index) => index + 1);
  return alignTable([['estimated time', ...devices.map(({ name }) => name)], ...rows, ['total', ...devices.map(({ totalSeconds }) => formatDuration(totalSeconds))]], columns);
}

function diskLines({ disk, freeBytes, config }: Plan): string[] {
  const { retention } = config.activations;
  const other = retention === 'keep' ? 'consume' : 'keep';
  const bytesOf = (choice: typeof retention) => disk.otherBytes + disk[choice].bytes;
  const fits = freeBytes === undefined || disk.peakBytes <= freeBytes;
  const advice = other === 'consume' && freeBytes !== undefined && bytesOf(other) <= freeBytes ? 'set activations.retention=consume, or choose another store with --store' : 'choose another store with --store';
  const verdict = freeBytes === undefined ? 'in a bucket' : `${formatBytes(freeBytes)} free: ${fits ? 'enough' : `NOT ENOUGH; ${advice}`}`;
  const line = (choice: typeof retention) => [`  activations.retention=${choice}`, formatBytes(bytesOf(choice)), `${describePeak(disk, choice)}${choice === retention ? ' (this run)' : ''}`];
  return [`disk at most: ${formatBytes(disk.peakBytes)} at once, ${verdict}`, ...alignTable([line(retention), line(other)], [1])];
}
