// The live view's arithmetic and text: speeds, ETAs, lines of stages, and a block redrawn in place.
import { describe, expect, it } from 'vitest';
import { alignTable, formatBytes, formatCount, formatDuration, formatFlops, formatNumber } from '../../schemas/format.ts';
import { Pace } from '../../cli/pace.ts';
import { blockLines, bridge, logLine, refine, type StageView } from '../../cli/progressLines.ts';
import { cut, Screen } from '../../cli/screen.ts';
import type { StageProgress } from '../../schemas/progress.ts';

function stage(change: Partial<StageProgress> = {}): StageProgress {
  return { stage: 'trainSae', label: '', state: 'running', done: 40, total: 100, unit: 'steps', metrics: {}, failedShards: 0, ...change };
}

function view(change: Partial<StageProgress>, rest: Partial<StageView> = {}): StageView {
  return { progress: stage(change), notes: [], ...rest };
}

describe('Pace', () => {
  it('knows speed and time left from two samples', () => {
    const pace = new Pace();
    pace.note(0, 10);
    expect(pace.speed(100)).toBeUndefined();
    pace.note(10_000, 30);
    expect(pace.speed(100)).toEqual({ perSecond: 2, etaSeconds: 35 });
  });

  it('follows a change of speed once the window has passed', () => {
    const pace = new Pace();
    for (let second = 0; second <= 100; second++) pace.note(1_000 * second, second);
    for (let second = 1; second <= 120; second++) pace.note(100_000 + 1_000 * second, 100 + 5 * second);
    expect(pace.speed(10_000)!.perSecond).toBeCloseTo(5, 1);
  });

  it('starts afresh when the count falls, and says nothing while nothing happens', () => {
    const pace = new Pace();
    pace.note(0, 90);
    pace.note(5_000, 100);
    pace.note(6_000, 1);
    expect(pace.speed(100)).toBeUndefined();
    pace.note(9_000, 1);
    expect(pace.speed(100)).toBeUndefined();
    pace.note(12_000, 7);
    expect(pace.speed(100)).toEqual({ perSecond: 1, etaSeconds: 93 });
  });

  it('has a speed for work that is counted only every few minutes', () => {
    const pace = new Pace();
    for (let second = 0; second <= 900; second++) pace.note(1_000 * second, Math.floor(second / 300));
    expect(pace.speed(10)!.perSecond).toBeGreaterThan(0);
  });
});

describe('refine', () => {
  it('takes a training’s step and newest metrics from its heartbeat', () => {
    const beat = { done: 57, total: 100, unit: 'steps', metrics: { loss: 2, l0: 15 } };
    expect(refine(stage({ metrics: { loss: 3, valLoss: 4 } }), [beat])).toMatchObject({ done: 57, metrics: { loss: 2, valLoss: 4, l0: 15 } });
  });

  it('ignores the preparation before a training', () => {
    expect(refine(stage(), [{ done: 5_000, total: 32_768, unit: 'vectors', metrics: {} }])).toEqual(stage());
  });

  it('adds the parts of shards under way', () => {
    const shards = stage({ unit: 'shards', done: 3, total: 10 });
    const half = { done: 5, total: 10, unit: 'windows', metrics: {} };
    expect(refine(shards, [half, half]).done).toBe(4);
    expect(refine(stage({ unit: 'shards', done: 10, total: 10 }), [half]).done).toBe(10);
  });
});

describe('bridge', () => {
  it('keeps the step last seen between two segments of a training', () => {
    const seen = stage({ done: 49, metrics: { loss: 2 } });
    expect(bridge(seen, stage({ done: 0, metrics: { valLoss: 3 } }))).toMatchObject({ done: 49, metrics: { loss: 2, valLoss: 3 } });
    expect(bridge(seen, stage({ done: 50 })).done).toBe(50);
    expect(bridge(undefined, stage({ done: 0 })).done).toBe(0);
  });

  it('lets a stage that ended, or counts something else, speak for itself', () => {
    expect(bridge(stage({ done: 49 }), stage({ done: 0, state: 'failed' })).done).toBe(0);
    expect(bridge(stage({ done: 4, unit: 'shards' }), stage({ done: 0, unit: 'blocks' })).done).toBe(0);
  });
});

describe('lines', () => {
  it('show percent, count, rate, ETA, loss, L0 and dead neurons of a training', () => {
    const line = logLine(view({ metrics: { loss: 0.01234567, l0: 15.82, dead: 27 } }, { speed: { perSecond: 2.5, etaSeconds: 95 } }));
    expect(line).toBe('trainSae: running,  40 %, 40/100 steps, 2.5 steps/s, ETA 1 min 35 s, loss 0.01235, L0 15.82, dead 27');
  });

  it('show what was found in the store, what waits and what failed', () => {
    const lines = blockLines([view({ stage: 'tokenize', state: 'cached', total: 0 }), view({ state: 'blocked', unit: 'shards', failedShards: 3 }, { notes: ['- shard 2: broken'] }), view({ stage: 'exportDashboard', state: 'waiting', total: 0 })], 60);
    expect(lines).toEqual(['✓ tokenize         found in the store', '! trainSae         blocked  3 of the shards failed', '    - shard 2: broken', '· exportDashboard  waiting']);
  });

  it('have a bar where there is room', () => {
    expect(blockLines([view({})], 120)[0]).toContain('████░░░░░░░░');
    expect(blockLines([view({})], 80)[0]).not.toContain('█');
  });

  it('tell two SAEs apart', () => {
    expect(blockLines([view({ label: 'wide' })], 80)[0]).toContain('trainSae wide');
  });
});

describe('Screen', () => {
  it('redraws its block in place, below the lines that stay', () => {
    let text = '';
    const screen = new Screen({ write: (piece: string) => (text += piece), isTTY: true, columns: 40 });
    screen.draw(['one', 'two']);
    screen.say('stays');
    screen.draw(['three']);
    screen.settle();
    screen.say('below');
    expect(rendered(text)).toEqual(['stays', 'three', 'below']);
  });

  it('cuts lines at the width, since a wrapped line can’t be redrawn', () => {
    let text = '';
    const screen = new Screen({ write: (piece: string) => (text += piece), isTTY: true, columns: 21 });
    screen.draw(['x'.repeat(50)]);
    expect(text).toBe(`${'x'.repeat(19)}…\n`);
    expect(cut('größer', 4)).toBe('grö…');
  });

  it('writes no control characters to a pipe', () => {
    let text = '';
    const screen = new Screen({ write: (piece: string) => (text += piece) });
    screen.draw(['block']);
    screen.say('line');
    expect(text).toBe('line\n');
  });
});

describe('formats', () => {
  it('are short and exact enough', () => {
    expect([0, 999, 1_000, 999_999, 4.144e12].map(formatBytes)).toEqual(['0 B', '999 B', '1.0 kB', '1.0 MB', '4.1 TB']);
    expect([0, 4_096, 488_281, 9_035_582_198].map(formatCount)).toEqual(['0', '4,096', '488 k', '9.04 G']);
    expect(formatFlops(3.99e18)).toBe('3.99 EFLOP');
    expect([0.01, 5.04, 59.6, 185, 7_800, 400_000].map(formatDuration)).toEqual(['< 0.1 s', '5.0 s', '1 min 00 s', '3 min 05 s', '2 h 10 min', '4.6 days']);
    expect([12, 4.23456, 0.00001234, 1e9 + 0.5].map(formatNumber)).toEqual(['12', '4.235', '1.23e-5', '1.00e+9']);
    expect(alignTable([['a', '1'], ['long', '100']], [1])).toEqual(['a       1', 'long  100']);
  });
});

/** What a terminal shows of text with "up n" and "clear to the end". */
function rendered(text: string): string[] {
  const lines: string[] = [];
  let at = 0;
  // eslint-disable-next-line no-control-regex
  for (const piece of text.split(/(\x1b\[\d+A\x1b\[0J|\n)/)) {
    // eslint-disable-next-line no-control-regex
    const up = /^\x1b\[(\d+)A/.exec(piece);
    if (up) {
      at -= Number(up[1]);
      lines.length = at;
    } else if (piece === '\n') at++;
    else if (piece !== '') lines[at] = piece;
  }
  return lines;
}
