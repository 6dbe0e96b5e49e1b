// The page's one tooltip, for the pointer and the keyboard alike: built on hover or focus from the element itself, so
// that thousands of tokens carry no content of their own. Escape puts it away.
import { el } from './dom.ts';

const bubble = el('div', { id: 'tooltip', role: 'tooltip', class: 'tooltip', hidden: true });
const marginPx = 8;
/** The element the tooltip is of; undefined if it is of a point. */
let anchor: Element | undefined;
let bornOfFocus = false;
let lastPointer = { x: -1, y: -1 };

/**
 * Shows a tooltip for the elements inside `container` for which `describe` has content.
 *
 * @param describe content for the element under the pointer or focus; undefined for none.
 */
export function attachTooltip(container: HTMLElement, describe: (target: Element) => Node | undefined): void {
  const show = (event: Event): void => {
    const target = event.target as Element;
    const content = describe(target);
    if (content === undefined) hideTooltip();
    else place(target, content);
    bornOfFocus = event.type === 'focusin';
  };
  const byPointer = (action: (event: Event) => void) => (event: PointerEvent): void => {
    if (pointerMoved(event) || !bornOfFocus) action(event);
  };
  container.addEventListener('pointerover', byPointer(show));
  container.addEventListener('pointermove', pointerMoved);
  container.addEventListener('pointerleave', byPointer(hideTooltip));
  container.addEventListener('focusin', show);
  container.addEventListener('focusout', hideTooltip);
}

/** Whether the reader moved the pointer; if not, the page scrolled under it, which must not take a focused token's tooltip away. */
function pointerMoved({ screenX: x, screenY: y }: PointerEvent): boolean {
  const moved = x !== lastPointer.x || y !== lastPointer.y;
  lastPointer = { x, y };
  return moved;
}

/** Part of the viewport, in pixels. */
interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Shows content at a place in the viewport, as for a bar under the pointer. */
export function showTooltipAt(box: Box, content: Node): void {
  anchor = undefined;
  bubble.replaceChildren(content);
  // inside a landmark, where a screen reader's user can get to it
  if (!bubble.isConnected) (document.querySelector('main') ?? document.body).append(bubble);
  bubble.hidden = false;
  moveTo(box);
}

function moveTo(box: Box): void {
  const { width, height } = bubble.getBoundingClientRect();
  const left = Math.min(Math.max((box.left + box.right - width) / 2, marginPx), innerWidth - width - marginPx);
  const above = box.top - height - marginPx;
  bubble.style.left = `${Math.max(left, marginPx)}px`;
  bubble.style.top = `${above < marginPx ? box.bottom + marginPx : above}px`;
}

/** Puts the tooltip away. */
export function hideTooltip(): void {
  bubble.hidden = true;
  bornOfFocus = false;
  anchor = undefined;
  document.querySelector('[aria-describedby="tooltip"]')?.removeAttribute('aria-describedby');
}

/** Hides the tooltip on Escape and keeps it at its element while the page scrolls; called once. */
export function installTooltip(): void {
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hideTooltip();
  });
  document.addEventListener('scroll', follow, { capture: true, passive: true });
}

function place(target: Element, content: Node): void {
  hideTooltip();
  target.setAttribute('aria-describedby', 'tooltip');
  showTooltipAt(boxOf(target), content);
  anchor = target;
}

/** Focusing an element out of view scrolls to it: its tooltip must come along, not vanish. */
function follow(): void {
  if (anchor?.isConnected === true) moveTo(boxOf(anchor));
  else hideTooltip();
}

/** A span that wraps has a box for each line; the bounding box would put the tooltip between them. */
function boxOf(target: Element): Box {
  return target.getClientRects()[0] ?? target.getBoundingClientRect();
}
