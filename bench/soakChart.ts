// The soak's picture: memory of each kind of process above, disk below, over one axis of time. Plain SVG, so that the page
// of results needs no program to draw it.
import type { SoakSample } from './soakProbe.ts';

const width = 860;
const panelHeight = 220;
const margin = { left: 70, right: 160, top: 30, between: 50, bottom: 40 };
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];

interface Line {
  name: string;
  /** Of each sample; undefined where there is nothing. */
  values: (number | undefined)[];
}

export function soakChart(samples: readonly SoakSample[], killedSeconds: number): string {
  const roles = [...new Set(samples.flatMap(({ residentBytes }) => Object.keys(residentBytes)))].sort();
  const memory = roles.map((name): Line => ({ name, values: samples.map(({ residentBytes }) => (residentBytes[name] === undefined ? undefined : residentBytes[name] / 1e6)) }));
  const disk: Line[] = [{ name: 'all files', values: samples.map(({ diskBytes }) => diskBytes / 1e9) }, { name: 'vectors', values: samples.map(({ activationBytes }) => activationBytes / 1e9) }];
  const endSeconds = Math.max(1, samples.at(-1)?.seconds ?? 1);
  const x = (seconds: number) => margin.left + (seconds / endSeconds) * (width - margin.left - margin.right);
  const second = margin.top + panelHeight + margin.between;
  const height = second + panelHeight + margin.bottom;
  const bottom = second + panelHeight;
  const times = ticks(endSeconds).map((at) => `<text x="${x(at).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${at}</text>`);
  const kill = `<line x1="${x(killedSeconds).toFixed(1)}" x2="${x(killedSeconds).toFixed(1)}" y1="${margin.top}" y2="${bottom}" stroke="#888" stroke-dasharray="4 3"/><text x="${(x(killedSeconds) + 4).toFixed(1)}" y="${bottom - 6}">compute process killed</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img">`,
    '<title>Resident memory of each kind of process, and bytes on the disk, over the seconds of a run</title>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    panel('resident memory, MB', memory, samples, margin.top, x),
    panel('disk, GB', disk, samples, second, x),
    ...times,
    `<text x="${x(endSeconds / 2).toFixed(1)}" y="${bottom + 34}" text-anchor="middle">seconds</text>`,
    kill,
    '</svg>',
    '',
  ].join('\n');
}

function panel(title: string, lines: Line[], samples: readonly SoakSample[], top: number, x: (seconds: number) => number): string {
  const most = Math.max(...lines.flatMap(({ values }) => values.filter((value) => value !== undefined)), 1e-3) * 1.05;
  const y = (value: number) => top + panelHeight - (value / most) * panelHeight;
  const end = width - margin.right;
  const grid = ticks(most).map((at) => `<line x1="${margin.left}" x2="${end}" y1="${y(at).toFixed(1)}" y2="${y(at).toFixed(1)}" stroke="#ddd"/><text x="${margin.left - 6}" y="${(y(at) + 4).toFixed(1)}" text-anchor="end">${at}</text>`);
  const drawn = lines.map(({ name, values }, index) => {
    const path = values.map((value, at) => (value === undefined ? '' : `${at === 0 || values[at - 1] === undefined ? 'M' : 'L'}${x(samples[at]!.seconds).toFixed(1)} ${y(value).toFixed(1)}`)).join('');
    return `<path d="${path}" fill="none" stroke="${colours[index % colours.length]}" stroke-width="1.5"/><text x="${end + 10}" y="${top + 14 + 18 * index}" fill="${colours[index % colours.length]}">${name}</text>`;
  });
  return [`<text x="${margin.left}" y="${top - 10}" font-weight="bold">${title}</text>`, ...grid, ...drawn].join('\n');
}

/** Round numbers from 0 up to `most`, four to ten of them. */
function ticks(most: number): number[] {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => Number((index * step).toPrecision(6)));
}
