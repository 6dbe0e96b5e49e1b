// The Markdown that Temporal's UI shows beside a workflow: where a run stands, at a glance. The UI sets typographic
// fractions ("3/4" becomes ¾) and cuts off what comes last, which is why there are no fractions here, and a rule at the end.
import type { FailedShard, StageProgress } from '../schemas/progress.ts';
import { shownMetrics } from '../schemas/shownMetrics.ts';

/** When a stage's row began to count, for rate and ETA. */
export interface Pace {
  sinceMs: number;
  doneThen: number;
}

/** What a run's table needs to know beside its stages. */
export interface RunView {
  paused: boolean;
  /** Of the run, for links to the workflows of its stages. */
  namespace: string;
  /** The workflow's clock. */
  nowMs: number;
  /** Markdown above the table, '' while there is nothing to say. */
  conclusion: string;
}

const finished: ReadonlySet<string> = new Set(['cached', 'done']);
const shownFailures = 20;

/** One line on a stage, and what a person should do about it. */
export function describeStage(progress: StageProgress, note: string): string {
  const line = [`**${stateWord(progress)}**`, amount(progress), numbers(progress)].filter(Boolean).join(' · ');
  return [line, ...(note === '' ? [] : [note]), '---'].join('\n\n');
}

/** How many stages are finished, what waits for a person, and the table of all. */
export function describeRun(stages: readonly StageProgress[], paces: ReadonlyMap<StageProgress, Pace>, { paused, namespace, nowMs, conclusion }: RunView): string {
  const done = stages.filter(({ state }) => finished.has(state)).length;
  const blocked = stages.filter(({ state }) => state === 'blocked');
  const headline = [...(paused ? ['**paused**'] : []), ...(blocked.length > 0 ? ['**waits for a decision**'] : []), `${done} of ${stages.length} stages finished`].join(' · ');
  const decisions = blocked.map((stage) => `${parkedShards(stage.failedShards)} in ${link(namespace, stage.workflowId, stage.workflowId ?? '')}: its current details say what to do`);
  const rows = stages.map((stage) => {
    const name = stage.label === '' ? stage.stage : `${stage.stage} ${stage.label}`;
    return `| ${link(namespace, stage.workflowId, name)} | ${stateWord(stage)} | ${amount(stage)} | ${speed(stage, paces.get(stage), nowMs)} | ${numbers(stage)} |`;
  });
  return [headline, ...(conclusion === '' ? [] : [conclusion]), ...decisions, ['| stage | state | done | speed | numbers |', '|---|---|---|---|---|', ...rows].join('\n'), '---'].join('\n\n');
}

/** What blocks a stage, and what to do: the note of a blocked stage. `listed` are all its parked shards, in short. */
export function describeParked(count: number, listed: string, explained: readonly FailedShard[], skippable: boolean): string {
  const shown = explained.slice(0, shownFailures).map(({ shard, error }) => `- shard ${shard}: \`${shorten(error)}\``);
  const more = count > shown.length ? [`- … and ${count - shown.length} more, whose errors are in the histories of the partitions (child workflows); all that are parked: ${listed}`] : [];
  const choices = ['`retryFailedShards` to try again', ...(skippable ? ['`skipFailedShards` to go on without'] : []), '`abort` to give the stage up'];
  return [
    `${parkedShards(count)}: all attempts are used up. Everything else is done and kept. Mend the cause, then send this workflow an update:`,
    `${choices.join(', ')}.`,
    'The first takes `{}` for all of them or `{"shards": [1, 2]}` for these only, as does skipping; `abort` takes the reason, such as `"bad disk"`.',
    '',
    ...shown,
    ...more,
  ].join('\n');
}

/** On one line, and keys so short that the file's name behind them is seen. */
function shorten(error: string): string {
  return error.replace(/\s+/g, ' ').replaceAll('`', "'").replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1…');
}

function parkedShards(count: number): string {
  return `${count} ${count === 1 ? 'shard' : 'shards'} parked`;
}

function stateWord({ state }: StageProgress): string {
  return state === 'cached' ? 'found' : state;
}

function link(namespace: string, workflowId: string | undefined, text: string): string {
  return workflowId === undefined ? text : `[${text}](/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)})`;
}

function amount({ done, total, unit }: StageProgress): string {
  return total === 0 ? '' : `${Math.floor((100 * done) / total)} % of ${total.toLocaleString('en')} ${unit}`;
}

function speed({ state, done, total, unit }: StageProgress, pace: Pace | undefined, nowMs: number): string {
  if (state !== 'running' || pace === undefined || done <= pace.doneThen || nowMs <= pace.sinceMs) return '';
  const perSecond = (1000 * (done - pace.doneThen)) / (nowMs - pace.sinceMs);
  return `${Number(perSecond.toPrecision(3))} ${unit} a second, ${duration((total - done) / perSecond)} left`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function numbers({ metrics }: StageProgress): string {
  return shownMetrics(metrics)
    .map(([label, value]) => `${label} ${Number.isInteger(value) ? value.toLocaleString('en') : Number(value.toPrecision(4))}`)
    .join(', ');
}
