// A scatter plot of tens of thousands of points on a canvas, with zoom, pan, a point under the pointer, and the same by
// keyboard (arrow keys go to the next point in a direction) and by fingers (two of them zoom; one moves a map that is zoomed,
// and scrolls the page over one that is shown whole).

import { remPx } from './curves.ts';

export interface Points {
  x: ArrayLike<number>;
  y: ArrayLike<number>;
}

export interface MapPlotOptions {
  points: Points;
  /** Colour of each point as the canvas understands it; called for each drawing, since themes change. */
  colourOf(point: number): string;
  /** Points below the others. */
  isBelow(point: number): boolean;
  /** Ring around the current point. */
  ringColour(): string;
  /** The point under the pointer or chosen by keyboard; undefined for none. `box` is where it is in the viewport. */
  onPoint(point: number | undefined, box: DOMRect | undefined): void;
  onOpen(point: number): void;
}

const hitRadiusPx = 12;
const zoomStep = 1.35;
const greatestZoom = 60;
/** A press that moves less than this is a click. */
const clickSlackPx = 4;

export class MapPlot {
  readonly canvas: HTMLCanvasElement;
  readonly #options: MapPlotOptions;
  readonly #bounds: { left: number; top: number; size: number };
  #zoom = 1;
  /** The place of the map in the middle of the canvas, 0 to 1. */
  #centre = { x: 0.5, y: 0.5 };
  #current: number | undefined;
  /** Fingers, or the pressed pointer, on the canvas: where each was last, in CSS pixels. */
  readonly #fingers = new Map<number, { x: number; y: number }>();
  /** Whether this press is no click any more. */
  #moved = false;
  #frame = 0;

  constructor(canvas: HTMLCanvasElement, options: MapPlotOptions) {
    this.canvas = canvas;
    this.#options = options;
    this.#bounds = boundsOf(options.points);
    canvas.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    canvas.addEventListener('pointerdown', (event) => this.#onPress(event));
    canvas.addEventListener('pointermove', (event) => this.#onMove(event));
    canvas.addEventListener('pointerup', (event) => this.#onRelease(event));
    canvas.addEventListener('pointercancel', (event) => this.#onRelease(event));
    canvas.addEventListener('pointerleave', () => this.choose(undefined));
    canvas.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** Zooms in (+1) or out (−1) around the middle of the canvas. */
  zoom(direction: 1 | -1): void {
    this.#zoomAt(zoomStep ** direction, this.canvas.clientWidth / 2, this.canvas.clientHeight / 2);
  }

  /** Shows the whole map. */
  reset(): void {
    this.#zoom = 1;
    this.#centre = { x: 0.5, y: 0.5 };
    this.draw();
  }

  /** Makes a point the current one, or none. */
  choose(point: number | undefined): void {
    if (point === this.#current) return;
    this.#current = point;
    this.canvas.classList.toggle('on-point', point !== undefined);
    this.draw();
    this.#options.onPoint(point, point === undefined ? undefined : this.#boxOf(point));
  }

  /** Draws at the next frame. */
  draw(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => ((this.#frame = 0), this.#paint()));
  }

  #paint(): void {
    const { canvas } = this;
    const context = canvas.getContext('2d');
    if (context === null) return;
    canvas.classList.toggle('zoomed', this.#zoom > 1);
    const ratio = devicePixelRatio;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    context.scale(ratio, ratio);
    const radius = this.#radiusPx();
    context.globalAlpha = 0.8;
    for (const below of [true, false]) {
      for (let point = 0; point < this.#options.points.x.length; point++) {
        if (this.#options.isBelow(point) !== below) continue;
        const [x, y] = this.#place(point);
        if (x < -radius || y < -radius || x > canvas.clientWidth + radius || y > canvas.clientHeight + radius) continue;
        context.fillStyle = this.#options.colourOf(point);
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.fill();
      }
    }
    if (this.#current === undefined) return;
    const [x, y] = this.#place(this.#current);
    context.globalAlpha = 1;
    context.strokeStyle = this.#options.ringColour();
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, radius + 3, 0, 2 * Math.PI);
    context.stroke();
  }

  /** Small where there are many points, larger when zoomed in. */
  #radiusPx(): number {
    const { clientWidth, clientHeight } = this.canvas;
    const spacing = Math.sqrt((clientWidth * clientHeight) / Math.max(this.#options.points.x.length, 1));
    const fontScale = remPx() / 14;
    return Math.min(Math.max(spacing * 0.16, 1.6 * fontScale), 5 * fontScale) * Math.min(Math.sqrt(this.#zoom), 2.5);
  }

  #scalePx(): number {
    return Math.min(this.canvas.clientWidth, this.canvas.clientHeight) * 0.94 * this.#zoom;
  }

  #place(point: number): [number, number] {
    const { points } = this.#options;
    const { left, top, size } = this.#bounds;
    const x = ((points.x[point] ?? 0) - left) / size - this.#centre.x;
    const y = ((points.y[point] ?? 0) - top) / size - this.#centre.y;
    return [this.canvas.clientWidth / 2 + x * this.#scalePx(), this.canvas.clientHeight / 2 + y * this.#scalePx()];
  }

  #pointAt(x: number, y: number): number | undefined {
    let nearest: number | undefined;
    let least = hitRadiusPx ** 2;
    for (let point = 0; point < this.#options.points.x.length; point++) {
      const [px, py] = this.#place(point);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance >= least) continue;
      least = distance;
      nearest = point;
    }
    return nearest;
  }

  #boxOf(point: number): DOMRect {
    const [x, y] = this.#place(point);
    const canvas = this.canvas.getBoundingClientRect();
    const radius = this.#radiusPx() + 3;
    return new DOMRect(canvas.left + x - radius, canvas.top + y - radius, 2 * radius, 2 * radius);
  }

  #onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.#zoomAt(event.deltaY < 0 ? zoomStep : 1 / zoomStep, event.offsetX, event.offsetY);
  }

  /** The place under (x, y) stays where it is. */
  #zoomAt(factor: number, x: number, y: number): void {
    const before = this.#scalePx();
    this.#zoom = Math.min(Math.max(this.#zoom * factor, 1), greatestZoom);
    const after = this.#scalePx();
    this.#centre.x += (x - this.canvas.clientWidth / 2) * (1 / before - 1 / after);
    this.#centre.y += (y - this.canvas.clientHeight / 2) * (1 / before - 1 / after);
    this.draw();
  }

  #onPress(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.#fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.#moved = this.#fingers.size > 1;
    this.canvas.setPointerCapture(event.pointerId);
  }

  /** One finger, or the pressed pointer, moves the map; two move it and zoom by how far they are apart. */
  #onMove(event: PointerEvent): void {
    const at = { x: event.offsetX, y: event.offsetY };
    const before = this.#fingers.get(event.pointerId);
    if (before === undefined) {
      if (event.buttons === 0) this.choose(this.#pointAt(at.x, at.y));
      return;
    }
    if (!this.#moved && Math.hypot(at.x - before.x, at.y - before.y) <= clickSlackPx) return;
    this.#moved = true;
    const from = spanOf([...this.#fingers.values()]);
    this.#fingers.set(event.pointerId, at);
    const to = spanOf([...this.#fingers.values()]);
    const scale = this.#scalePx();
    this.#centre = { x: this.#centre.x - (to.x - from.x) / scale, y: this.#centre.y - (to.y - from.y) / scale };
    this.choose(undefined);
    if (from.apart > 0) this.#zoomAt(to.apart / from.apart, to.x, to.y);
    else this.draw();
  }

  #onRelease(event: PointerEvent): void {
    const last = this.#fingers.size === 1;
    const place = this.#fingers.get(event.pointerId);
    this.#fingers.delete(event.pointerId);
    if (place === undefined || !last || this.#moved || event.type === 'pointercancel') return;
    const point = this.#pointAt(place.x, place.y);
    if (point !== undefined) this.#options.onOpen(point);
  }

  #onKey(event: KeyboardEvent): void {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (direction !== undefined) this.#step(direction[0] ?? 0, direction[1] ?? 0);
    else if (event.key === '+' || event.key === '=') this.zoom(1);
    else if (event.key === '-') this.zoom(-1);
    else if (event.key === '0') this.reset();
    else if (event.key === 'Enter' && this.#current !== undefined) this.#options.onOpen(this.#current);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** To the nearest point within 45° of a direction; from nowhere, to the one nearest to the middle. */
  #step(dx: number, dy: number): void {
    const from = this.#current === undefined ? [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2] : this.#place(this.#current);
    let nearest: number | undefined;
    let least = Infinity;
    for (let point = 0; point < this.#options.points.x.length; point++) {
      if (point === this.#current) continue;
      const [px, py] = this.#place(point);
      const [ox, oy] = [px - (from[0] ?? 0), py - (from[1] ?? 0)];
      const along = ox * dx + oy * dy;
      const across = Math.abs(ox * dy - oy * dx);
      const distance = Math.hypot(ox, oy);
      if (this.#current !== undefined && (along <= 0 || across > along)) continue;
      if (distance >= least) continue;
      least = distance;
      nearest = point;
    }
    if (nearest === undefined) return;
    this.#bringIntoView(nearest);
    this.choose(nearest);
  }

  #bringIntoView(point: number): void {
    const [x, y] = this.#place(point);
    if (x > 0 && y > 0 && x < this.canvas.clientWidth && y < this.canvas.clientHeight) return;
    const scale = this.#scalePx();
    this.#centre = { x: this.#centre.x + (x - this.canvas.clientWidth / 2) / scale, y: this.#centre.y + (y - this.canvas.clientHeight / 2) / scale };
    this.draw();
  }
}

/** The middle of one finger or two, and how far they are apart. A third is as if it were not there. */
function spanOf([one, other]: readonly { x: number; y: number }[]): { x: number; y: number; apart: number } {
  if (one === undefined) return { x: 0, y: 0, apart: 0 };
  if (other === undefined) return { ...one, apart: 0 };
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2, apart: Math.hypot(one.x - other.x, one.y - other.y) };
}

/** The square around all points. */
function boundsOf({ x, y }: Points): { left: number; top: number; size: number } {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let point = 0; point < x.length; point++) {
    left = Math.min(left, x[point] ?? 0);
    right = Math.max(right, x[point] ?? 0);
    top = Math.min(top, y[point] ?? 0);
    bottom = Math.max(bottom, y[point] ?? 0);
  }
  const size = Math.max(right - left, bottom - top, 1e-9);
  return { left: left - (size - (right - left)) / 2, top: top - (size - (bottom - top)) / 2, size };
}
