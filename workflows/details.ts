// The Markdown that Temporal's UI shows beside a workflow: where a run stands, at a glance.
import type { FailedShard, StageProgress } from '../schemas/progress.ts';

/** When a stage's row began to count, for rate and ETA. */
export interface Pace {
  sinceMs: number;
  doneThen: number;
}

/** One line on a stage, and what a person should do about it. */
export function describeStage(progress: StageProgress, note: string): string {
  const line = `**${progress.state}** · ${amount(progress)}${numbers(progress.metrics)}`;
  return note === '' ? line : `${line}\n\n${note}`;
}

/** The table of a run's stages. `nowMs` is the workflow's clock. */
export function describeRun(stages: readonly StageProgress[], paces: ReadonlyMap<StageProgress, Pace>, nowMs: number): string {
  const rows = stages.map((stage) => {
    const name = stage.label === '' ? stage.stage : `${stage.stage} ${stage.label}`;
    const where = stage.state === 'blocked' ? `${stage.failedShards} parked: see \`${stage.workflowId ?? ''}\`` : numbers(stage.metrics, '');
    return `| ${name} | ${stage.state} | ${amount(stage)} | ${speed(stage, paces.get(stage), nowMs)} | ${where} |`;
  });
  return ['| stage | state | done | speed, time left | |', '|---|---|---|---|---|', ...rows].join('\n');
}

/** What blocks a stage, and what to do: the note of a blocked stage. */
export function describeParked(parked: readonly FailedShard[], skippable: boolean): string {
  const shown = parked.slice(0, 20).map(({ shard, error }) => `- shard ${shard}: ${error.replace(/\s+/g, ' ')}`);
  const more = parked.length > shown.length ? [`- … and ${parked.length - shown.length} more`] : [];
  const skip = skippable ? ', `skipFailedShards` to go on without them,' : '';
  return [
    `${parked.length} shards used up their attempts; everything else is done and kept. Mend the cause, then send this workflow the update \`retryFailedShards\`${skip} or \`abort\` to give the stage up. All take \`{}\`; \`{"shards": [1, 2]}\` means these only.`,
    ...shown,
    ...more,
  ].join('\n');
}

function amount({ done, total, unit }: StageProgress): string {
  if (total === 0) return '';
  return `${Math.floor((100 * done) / total)} % (${done}/${total} ${unit})`;
}

function speed({ state, done, total, unit }: StageProgress, pace: Pace | undefined, nowMs: number): string {
  if (state !== 'running' || pace === undefined || done <= pace.doneThen || nowMs <= pace.sinceMs) return '';
  const perSecond = (1000 * (done - pace.doneThen)) / (nowMs - pace.sinceMs);
  return `${perSecond.toPrecision(3)} ${unit}/s, ${duration((total - done) / perSecond)}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function numbers(metrics: Record<string, number>, prefix = ' · '): string {
  const shown = Object.entries(metrics).slice(0, 6).map(([name, value]) => `${name} ${Number.isInteger(value) ? value : value.toPrecision(4)}`);
  return shown.length === 0 ? '' : `${prefix}${shown.join(', ')}`;
}
