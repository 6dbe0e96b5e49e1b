// What is killed when: drawn from a seed before anything runs, so that a run of chaos can be repeated as far as timing
// allows. A strike names the stage and how far that is to be, not a time: machines differ.
import { RandomStream } from '../schemas/random.ts';
import { stageNames, type StageName } from '../schemas/stages.ts';

export const victims = ['compute', 'gpuWorker', 'cpuWorker', 'temporal', 's3', 'disk'] as const;
export type Victim = (typeof victims)[number];
export type StoreKind = 'folder' | 's3';

export interface Strike {
  victim: Victim;
  stage: StageName;
  /** Share of the stage that is to be done by then. */
  share: number;
  /** And this much later, so that it hits anything between two checkpoints. */
  delayMs: number;
  /** The next strike does not wait until the run has recovered from this one. */
  overlaps: boolean;
}

export interface RunPlan {
  store: StoreKind;
  /** In the order of the stages. */
  strikes: Strike[];
}

export interface PlanOptions {
  seed: number;
  runs: number;
  kills: number;
  victims: readonly Victim[];
}

/** Stages that last; each of them loses each of these at least once before anything is hit twice. */
export const longStages: readonly StageName[] = ['trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard'];
const mainVictims: readonly Victim[] = ['compute', 'gpuWorker', 'temporal'];
const latestShare = 0.8;
const longestDelayMs = 700;
const overlapping = 1 / 6;

interface Target {
  victim: Victim;
  stage: StageName;
}

/** Deals `kills` strikes to `runs` runs; runs on a folder and on S3 take turns where both can be hit. */
export function planStrikes({ seed, runs, kills, victims: chosen }: PlanOptions): RunPlan[] {
  const random = new RandomStream(seed, 'chaos');
  const plans = Array.from({ length: runs }, (_, run): RunPlan => ({ store: storeOf(run, runs, chosen), strikes: [] }));
  const possible = targets(chosen).filter((target) => plans.some(({ store }) => canHit(store, target)));
  const must = mustHit(possible, random);
  let deck = [...shuffled(must, random), ...shuffled(possible.filter((target) => !must.includes(target)), random)];
  for (let kill = 0; kill < kills && possible.length > 0; kill++) {
    if (deck.length === 0) deck = shuffled(possible, random);
    const target = deck.shift()!;
    const able = plans.filter(({ store }) => canHit(store, target)).sort((a, b) => a.strikes.length - b.strikes.length);
    able[0]!.strikes.push({ ...target, share: random.uniform() * latestShare, delayMs: Math.floor(random.uniform() * longestDelayMs), overlaps: target.victim !== 'disk' && random.uniform() < overlapping });
  }
  const order = ({ stage, share }: Strike) => stageNames.indexOf(stage) + share;
  for (const { strikes } of plans) strikes.sort((a, b) => order(a) - order(b));
  return plans;
}

/** Every long stage with each main victim, and every other victim once. */
function mustHit(possible: readonly Target[], random: RandomStream): Target[] {
  const main = possible.filter(({ victim, stage }) => mainVictims.includes(victim) && longStages.includes(stage));
  const others = [...new Set(possible.map(({ victim }) => victim))].filter((victim) => !mainVictims.includes(victim));
  return [...main, ...others.map((victim) => shuffled(possible.filter((target) => target.victim === victim && longStages.includes(target.stage)), random)[0]!)];
}

/** Tokenizing is over in a moment and needs no GPU worker. */
function targets(chosen: readonly Victim[]): Target[] {
  const stagesOf = (victim: Victim) => (victim === 'gpuWorker' || victim === 'disk' ? longStages : stageNames);
  return chosen.flatMap((victim) => stagesOf(victim).map((stage) => ({ victim, stage })));
}

function storeOf(run: number, runs: number, chosen: readonly Victim[]): StoreKind {
  if (!chosen.includes('s3')) return 'folder';
  if (runs === 1) return chosen.includes('disk') ? 'folder' : 's3';
  return run % 2 === 0 ? 'folder' : 's3';
}

function canHit(store: StoreKind, { victim }: Target): boolean {
  return !(victim === 's3' && store !== 's3') && !(victim === 'disk' && store !== 'folder');
}

function shuffled<T>(items: readonly T[], random: RandomStream): T[] {
  const copy = [...items];
  for (let end = copy.length - 1; end > 0; end--) {
    const other = random.integer(end + 1);
    [copy[end], copy[other]] = [copy[other]!, copy[end]!];
  }
  return copy;
}
