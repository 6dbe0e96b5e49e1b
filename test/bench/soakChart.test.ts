// The picture of a soak, read back as a person reads it: by its own axes.
import { expect, it } from 'vitest';
import { soakChart } from '../../bench/soakChart.ts';
import type { SoakSample } from '../../bench/soakProbe.ts';

const gigabyte = 1e9;
/** 100 s; the worker peaks at 40 s with 700 MB, the compute process lives from 20 to 60 s and again from 70 s, the disk is fullest at 90 s. */
const samples = Array.from({ length: 101 }, (_, seconds): SoakSample => {
  const compute = (seconds >= 20 && seconds <= 60) || seconds >= 70;
  return {
    seconds,
    residentBytes: { worker: seconds === 40 ? 7e8 : 3e8 + seconds * 1e5, ...(compute ? { 'compute process': seconds === 55 ? 1.9e9 : 1e9 } : {}) },
    diskBytes: seconds === 90 ? 4.5 * gigabyte : seconds * 1e7,
    activationBytes: Math.min(seconds, 50) * 1e7,
  };
});
const svg = soakChart(samples, 60);

interface Point {
  x: number;
  y: number;
}

const numberOf = (text: string | undefined) => Number(text);
/** From pixels to what an axis says: through its first and last labels. */
function axis(labels: { at: number; value: number }[]): (pixel: number) => number {
  const [first, last] = [labels[0]!, labels.at(-1)!];
  return (pixel) => first.value + ((pixel - first.at) / (last.at - first.at)) * (last.value - first.value);
}

const secondsAt = axis([...svg.matchAll(/<text x="([\d.]+)" y="\d+" text-anchor="middle">([\d.]+)<\/text>/g)].map(([, x, value]) => ({ at: numberOf(x), value: numberOf(value) })));

/** The lines of a panel by name, each as its strokes, in seconds and the panel's unit. */
function linesOf(title: string): Map<string, Point[][]> {
  const [, panel] = svg.split(`font-weight="bold">${title}</text>`) as [string, string];
  const part = panel.split('font-weight="bold"')[0]!;
  const valueAt = axis([...part.matchAll(/<line [^>]*y1="([\d.]+)"[^>]*stroke="#ddd"\/><text [^>]*>([\d.]+)<\/text>/g)].map(([, y, value]) => ({ at: numberOf(y), value: numberOf(value) })));
  const lines = [...part.matchAll(/<path d="([^"]*)"[^>]*\/><text [^>]*>([^<]*)<\/text>/g)];
  return new Map(
    lines.map(([, d, name]) => [name!, d!.split('M').slice(1).map((stroke) => stroke.split('L').map((point) => point.split(' ').map(Number)).map(([x, y]) => ({ x: secondsAt(x!), y: valueAt(y!) })))]),
  );
}

const highest = (strokes: Point[][]) => strokes.flat().reduce((best, point) => (point.y > best.y ? point : best));

it('has each peak where it was and as high as it was', () => {
  const [memory, disk] = [linesOf('resident memory, MB'), linesOf('disk, GB')];
  expect([...memory.keys(), ...disk.keys()]).toEqual(['compute process', 'worker', 'all files', 'vectors']);
  for (const [line, seconds, value] of [
    [memory.get('compute process')!, 55, 1_900],
    [memory.get('worker')!, 40, 700],
    [disk.get('all files')!, 90, 4.5],
    [disk.get('vectors')!, 50, 0.5],
  ] as const) {
    const peak = highest(line);
    expect(Math.abs(peak.y / value - 1)).toBeLessThan(0.005);
    expect(peak.x).toBeGreaterThan(seconds - 0.5);
    if (line !== disk.get('vectors')) expect(peak.x).toBeLessThan(seconds + 0.5);
  }
});

it('has every sample in its place, and no line where there was no process', () => {
  const strokes = linesOf('resident memory, MB').get('compute process')!;
  expect(strokes.map((stroke) => [stroke[0]!.x, stroke.at(-1)!.x].map(Math.round))).toEqual([[20, 60], [70, 100]]);
  const worker = linesOf('resident memory, MB').get('worker')!.flat();
  expect(worker).toHaveLength(samples.length);
  worker.forEach(({ x, y }, index) => {
    expect(Math.abs(x - index)).toBeLessThan(0.2);
    expect(Math.abs(y - samples[index]!.residentBytes['worker']! / 1e6)).toBeLessThan(5);
  });
});

it('marks when the compute process was killed, and draws a run of one sample', () => {
  const [, x] = /<line x1="([\d.]+)"[^>]*stroke-dasharray/.exec(svg)!;
  expect(Math.abs(secondsAt(numberOf(x)) - 60)).toBeLessThan(0.2);
  const single = soakChart([{ seconds: 0, residentBytes: { worker: 1e8 }, diskBytes: 0, activationBytes: 0 }], 0);
  expect(single).toContain('worker');
  expect(single).not.toMatch(/NaN|Infinity|undefined/);
});
