// One live view of a run: redrawn in place in a terminal, a line every few seconds in a pipe or log. It outlives restarts
// of worker and server: what can't be asked now is asked again a moment later.
import type { Client } from '@temporalio/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../schemas/format.ts';
import { Pace } from './pace.ts';
import { blockLines, bridge, logLine, stageTitle, type StageView } from './progressLines.ts';
import { readNotes, readRun, type RunNow } from './progressSource.ts';
import type { Screen } from './screen.ts';

const pollMs = 1_000;
const logMs = 5_000;
/** Missed polls after which the view says that it waits: a worker takes some seconds to start. */
const quietMisses = 15;

/**
 * Shows a run until `signal` is aborted; then once more as it stands.
 *
 * @example
 * const watching = new AbortController();
 * const shown = showRun(client, 'saeflow/demo/1f2e3d4c5b6a', screen, watching.signal);
 */
export async function showRun(client: Client, workflowId: string, screen: Screen, signal: AbortSignal): Promise<void> {
  const view = new LiveView(workflowId, screen);
  view.draw();
  for (;;) {
    const last = signal.aborted;
    await view.refresh(client, last);
    if (last) break;
    await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  }
  screen.settle();
}

class LiveView {
  private readonly startedMs = Date.now();
  private readonly paces = new Map<string, Pace>();
  private readonly logged = new Map<string, { state: string; atMs: number }>();
  private views: StageView[] = [];
  private misses = 0;

  constructor(
    private readonly workflowId: string,
    private readonly screen: Screen,
  ) {}

  async refresh(client: Client, last: boolean): Promise<void> {
    try {
      this.views = this.viewsOf(await readRun(client, this.workflowId));
      if (!this.views.some(({ progress }) => progress.state !== 'waiting')) this.views[0] = { ...this.views[0]!, notes: await readNotes(client, this.workflowId) };
      this.misses = 0;
    } catch {
      this.misses++;
    }
    if (this.screen.live) this.draw();
    else this.log(last);
  }

  /** What is known, as a block; the first answer may take some seconds. */
  draw(): void {
    this.screen.draw(this.block());
  }

  private viewsOf({ stages }: RunNow): StageView[] {
    return stages.map(({ progress: known, notes, beating }, index) => {
      const progress = beating ? known : bridge(this.views[index]?.progress, known);
      const pace = this.paces.get(stageTitle(progress)) ?? new Pace();
      this.paces.set(stageTitle(progress), pace);
      if (progress.state === 'running') pace.note(Date.now(), progress.done);
      return { progress, notes, speed: pace.speed(progress.total) };
    });
  }

  private block(): string[] {
    const elapsed = formatDuration(Math.round((Date.now() - this.startedMs) / 1_000));
    const waiting = this.misses > quietMisses ? '  waiting for the worker to answer' : '';
    return [`${this.workflowId}  ${elapsed}${waiting}`, ...(this.views.length === 0 ? ['  starting'] : blockLines(this.views, this.screen.width))];
  }

  /** A line for each stage that changed its state, and for those at work every few seconds. */
  private log(last: boolean): void {
    const nowMs = Date.now();
    for (const view of this.views) {
      const { state } = view.progress;
      const title = stageTitle(view.progress);
      const before = this.logged.get(title);
      const changed = before?.state !== state && !(before === undefined && state === 'waiting');
      const due = state === 'running' && (last || nowMs - (before?.atMs ?? 0) >= logMs);
      if (!changed && !due) continue;
      this.logged.set(title, { state, atMs: nowMs });
      this.screen.say(`${new Date(nowMs).toISOString().slice(11, 19)} ${logLine(view)}`);
    }
  }
}
