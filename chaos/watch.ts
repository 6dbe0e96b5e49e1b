// Where a run is, seen from outside while parts of it are dead: from the store, which says what is finished, and from the
// server, which says whether a job reports progress.
import { setTimeout as sleep } from 'node:timers/promises';
import { readSpec } from '../data/artifact.ts';
import type { ListedObject } from '../data/artifactStore.ts';
import { planStage } from '../data/plans.ts';
import { jobProgress } from '../schemas/jobs.ts';
import { artifactId, stageNames, stageWorkflowId, type ArtifactId, type StageName } from '../schemas/stages.ts';
import type { Cluster } from './cluster.ts';

export interface Position {
  artifact: ArtifactId;
  stage: StageName;
  /** Share of the stage that is in the store; 1 once it has its manifest. */
  share: number;
  /** Grows with everything finished: equal numbers mean that nothing new is in the store. */
  finished: number;
}

const lookMs = 100;
/** More than any stage has steps or shards. */
const stageWeight = 1e6;
const patienceMs = 180_000;

export class Watch {
  private readonly totals = new Map<string, number>();
  /** Stages with a manifest need no second look. */
  private readonly finished = new Map<StageName, Position>();

  constructor(
    private readonly cluster: Cluster,
    private readonly workflowId: string,
  ) {}

  /** The stage that is being made, or was last; undefined before the first. */
  async position(): Promise<Position | undefined> {
    let found: Position | undefined;
    for (const [index, stage] of stageNames.entries()) {
      const known = this.finished.get(stage);
      found = known ?? (await this.positionIn(stage, index)) ?? found;
      if (found?.stage !== stage) return found;
      if (found.share === 1) this.finished.set(stage, found);
    }
    return found;
  }

  /** True once the workflow has ended, whichever way. */
  async ended(): Promise<boolean> {
    const client = await this.cluster.client();
    return (await client.workflow.getHandle(this.workflowId).describe()).status.name !== 'RUNNING';
  }

  /** Waits until a job of the artifact's stage has reported progress since `sinceMs`; false when the stage ended before. */
  async untilAtWork(artifact: ArtifactId, sinceMs: number): Promise<boolean> {
    for (; ; await sleep(lookMs)) {
      if (await retrying(() => this.reportedSince(artifact, sinceMs))) return true;
      const position = await retrying(() => this.position());
      if (position?.stage !== artifact.stage || position.share >= 1) return false;
    }
  }

  /** Waits until the store holds more than at `before` and the server and its workers answer. */
  async untilRecovered(before: number): Promise<void> {
    await retrying(async () => {
      const client = await this.cluster.client();
      if (await this.ended()) return;
      await client.withDeadline(Date.now() + 5_000, () => client.workflow.getHandle(this.workflowId).query('progress'));
    });
    for (const endMs = performance.now() + patienceMs; performance.now() < endMs; await sleep(lookMs)) {
      if (((await retrying(() => this.position()))?.finished ?? 0) > before) return;
      if (await retrying(() => this.ended())) return;
    }
    throw new Error(`nothing new is in the store ${patienceMs / 1_000} s after a kill`);
  }

  /** True while an activity of the stage waits because a disk was full. */
  async sawFullDisk(artifact: ArtifactId): Promise<boolean> {
    const pending = await this.pendingActivities(artifact);
    return pending.some(({ lastFailure }) => lastFailure?.applicationFailureInfo?.type === 'DiskFull');
  }

  private async reportedSince(artifact: ArtifactId, sinceMs: number): Promise<boolean> {
    for (const { heartbeatDetails, lastHeartbeatTime } of await this.pendingActivities(artifact)) {
      const beatMs = Number(lastHeartbeatTime?.seconds ?? 0) * 1_000 + (lastHeartbeatTime?.nanos ?? 0) / 1e6;
      const data = heartbeatDetails?.payloads?.[0]?.data;
      if (beatMs <= sinceMs || data === undefined || data === null || data.length === 0) continue;
      if (jobProgress.safeParse(JSON.parse(Buffer.from(data).toString())).success) return true;
    }
    return false;
  }

  /** Of the stage's workflow and the partitions it has started. */
  private async pendingActivities({ stage, key }: ArtifactId) {
    const client = await this.cluster.client();
    const describe = (workflowId: string) => client.workflow.getHandle(workflowId).describe().catch(notThere);
    const stageWorkflow = await describe(stageWorkflowId(stage, key));
    const partitions = await Promise.all((stageWorkflow?.raw.pendingChildren ?? []).map(({ workflowId }) => describe(workflowId ?? '')));
    return [stageWorkflow, ...partitions].flatMap((description) => description?.raw.pendingActivities ?? []);
  }

  private async positionIn(stage: StageName, index: number): Promise<Position | undefined> {
    const objects = await this.cluster.store.list(`${stage}/`);
    const artifact = artifactId.safeParse({ stage, key: objects[0]?.path.split('/')[1] }).data;
    if (artifact === undefined) return undefined;
    const whole = objects.some(({ path }) => path.endsWith('/manifest.json'));
    const done = doneOf(objects);
    // The last piece is not the manifest: 1 is said of a whole artifact only.
    const share = whole ? 1 : Math.min(0.99, done / Math.max(1, await this.totalOf(artifact)));
    return { artifact, stage, share, finished: index * stageWeight + (whole ? stageWeight - 1 : done) };
  }

  private async totalOf(artifact: ArtifactId): Promise<number> {
    const known = this.totals.get(artifact.key);
    if (known !== undefined) return known;
    const { shards, blocks, milestones } = await planStage(this.cluster.store, await readSpec(this.cluster.store, artifact));
    const total = shards + blocks + (milestones.at(-1) ?? 0);
    this.totals.set(artifact.key, total);
    return total;
  }
}

/** What is polled while servers come and go fails now and then; for two minutes, it is asked again. */
export async function retrying<T>(ask: () => Promise<T>): Promise<T> {
  for (const endMs = performance.now() + patienceMs; ; await sleep(250)) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > endMs) throw error;
    }
  }
}

/** Shards with a receipt, or the step of the newest checkpoint. */
function doneOf(objects: readonly ListedObject[]): number {
  const receipts = objects.filter(({ path }) => path.includes('/receipts/')).length;
  const steps = objects.flatMap(({ path }) => /work\/checkpoint-(\d+)\.json$/.exec(path)?.[1] ?? []).map(Number);
  return steps.length === 0 ? receipts : Math.max(...steps);
}

function notThere(error: unknown): undefined {
  if (error instanceof Error && error.name === 'WorkflowNotFoundError') return undefined;
  throw error;
}
