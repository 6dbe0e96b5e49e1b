// A run's progress as text: a line a stage, for the live view, for `status`, and for logs. Pure.
import type { JobProgress } from '../schemas/jobs.ts';
import type { StageProgress } from '../schemas/progress.ts';
import { shownMetrics } from '../schemas/shownMetrics.ts';
import { formatCount, formatDuration, formatNumber } from '../schemas/format.ts';
import type { Speed } from './pace.ts';

/** A stage as it is shown: its progress with the finest numbers there are, its speed, and what goes wrong if anything. */
export interface StageView {
  progress: StageProgress;
  speed?: Speed | undefined;
  notes: readonly string[];
}

const marks: Record<StageProgress['state'], string> = { waiting: '·', running: '▶', paused: '‖', blocked: '!', cached: '✓', done: '✓', failed: '✗', aborted: '✗' };
const barCells = 12;
const narrowColumns = 90;

/**
 * A stage's progress made finer by its activities' heartbeats: a training's own step, or the parts of shards under way.
 *
 * @example
 * refine(atShard3of10, [{ done: 5, total: 10, unit: 'windows', metrics: {} }]).done; // 3.5
 */
export function refine(stage: StageProgress, beats: readonly JobProgress[]): StageProgress {
  if (beats.length === 0 || stage.total === 0) return stage;
  if (stage.unit === 'steps') {
    const training = beats.find(({ unit }) => unit === 'steps');
    if (training === undefined) return stage;
    return { ...stage, done: Math.max(stage.done, training.done), total: training.total, metrics: { ...stage.metrics, ...training.metrics } };
  }
  const underway = beats.reduce((sum, { done, total }) => sum + Math.min(1, done / total), 0);
  return { ...stage, done: Math.min(stage.total, stage.done + underway) };
}

/** A training between two segments, when no heartbeat tells its step: it stands where it was last seen. */
export function bridge(seen: StageProgress | undefined, known: StageProgress): StageProgress {
  const between = seen !== undefined && seen.state === 'running' && known.state === 'running' && known.unit === 'steps' && seen.total === known.total && seen.done > known.done;
  return between ? { ...known, done: seen.done, metrics: { ...seen.metrics, ...known.metrics } } : known;
}

/** The live view's block: a line a stage, and under it what goes wrong. A narrow terminal gets no bars. */
export function blockLines(views: readonly StageView[], width: number): string[] {
  const nameWidth = Math.max(...views.map(({ progress }) => stageTitle(progress).length));
  return views.flatMap((view) => {
    const { progress } = view;
    const barred = width >= narrowColumns && progress.total > 0 && (progress.state === 'running' || progress.state === 'paused');
    const details = [...(barred ? [bar(progress)] : []), ...describe(view)];
    return [`${marks[progress.state]} ${stageTitle(progress).padEnd(nameWidth)}  ${details.join('  ')}`, ...view.notes.map((note) => `    ${note}`)];
  });
}

/** One line of a log: stage and all that is known of it, separated by commas. */
export function logLine(view: StageView): string {
  return [`${stageTitle(view.progress)}: ${view.progress.state}`, ...describe(view).filter((part) => part !== stateWords(view.progress)), ...view.notes].join(', ');
}

/** `trainSae a1`: the stage, with its label where there are several. */
export function stageTitle({ stage, label }: Pick<StageProgress, 'stage' | 'label'>): string {
  return label === '' ? stage : `${stage} ${label}`;
}

function describe({ progress, speed }: StageView): string[] {
  const { state, done, total, unit, failedShards } = progress;
  const active = state === 'running' || state === 'paused';
  const amount = total > 0 && active ? [`${String(Math.floor((100 * done) / total)).padStart(3)} %`, `${formatNumber(Math.floor(done))}/${formatNumber(total)} ${unit}`] : [];
  const pace = state === 'running' && speed !== undefined && done < total ? [`${formatNumber(speed.perSecond)} ${unit}/s`, `ETA ${formatDuration(speed.etaSeconds)}`] : [];
  const failed = failedShards > 0 ? [`${failedShards} of the ${unit} failed`] : [];
  return [...(active && total > 0 && state === 'running' ? [] : [stateWords(progress)]), ...amount, ...pace, ...failed, ...metricWords(progress)];
}

function stateWords({ state }: StageProgress): string {
  if (state === 'cached') return 'found in the store';
  if (state === 'running') return 'starting';
  return state;
}

function metricWords({ metrics }: StageProgress): string[] {
  return shownMetrics(metrics).map(([label, value]) => `${label} ${value >= 1e5 ? formatCount(value) : formatNumber(value)}`);
}

function bar({ done, total }: StageProgress): string {
  const filled = Math.min(barCells, Math.floor((barCells * done) / total));
  return '█'.repeat(filled) + '░'.repeat(barCells - filled);
}
