// Bars of a histogram as SVG: crisp at any width and in print, no canvas, no resize observer.
import { svg } from './dom.ts';

export type CountScale = 'linear' | 'log';

/**
 * Bars of equal width that fill their box; heights relative to the largest count. On the log scale, which keeps the
 * tail visible, a count of one is still a bar.
 *
 * @param className of each bar, by its position.
 */
export function bars(counts: readonly number[], scale: CountScale, className: (bin: number) => string): SVGSVGElement {
  const heightOf = scale === 'log' ? (count: number) => Math.log1p(count) : (count: number) => count;
  const tallest = Math.max(...counts.map(heightOf), 1e-12);
  const picture = svg('svg', { class: 'bars', viewBox: `0 0 ${counts.length} 100`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  counts.forEach((count, bin) => {
    if (count === 0) return;
    const height = Math.max((heightOf(count) / tallest) * 100, 1.5);
    picture.append(svg('rect', { class: className(bin), x: bin + 0.06, y: 100 - height, width: 0.88, height }));
  });
  return picture;
}
